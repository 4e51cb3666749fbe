"""A KV state that has left the device."""

from dataclasses import dataclass

from workers.engine.memory import State


@dataclass(slots=True, eq=False)
class ParkedState:
    """The state after `tokens`, computed with `adapters`."""

    tokens: list[int]
    adapters: tuple[str, ...]
    state: State
