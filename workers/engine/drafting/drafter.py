"""Who guesses tokens with a model."""

from typing import Protocol

from workers.engine.batch import Plan
from workers.engine.sequence import Sequence


class Drafter(Protocol):
    """Guesses for many sequences at once."""

    token_cost: float
    """Nanoseconds that it takes to catch up with one token of a prompt, of late; 0 = unknown, or nothing."""

    def catch_up(self, sequences: list[Sequence], room: int) -> list[Sequence]:
        """Computes what it has not seen of these, which have no media and come in ascending slots; streams can wait for
        `room` tokens. Those that it can draft for now."""
        ...

    def draft(self, sequences: list[Sequence], limits: list[int]) -> None:
        """Sets the draft of each sequence that it has caught up with, of at most so many tokens, more than none."""
        ...

    def follow(self, plan: Plan) -> None:
        """Sees a step that was computed and whose tokens were taken; before the next one is."""
        ...
