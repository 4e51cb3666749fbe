"""A parked state."""

from dataclasses import dataclass

from workers.engine.memory import State


@dataclass(slots=True, eq=False)
class ParkedState:
    """The KV state after `tokens`, computed with `adapters`."""

    tokens: list[int]
    adapters: tuple[str, ...]
    state: State
