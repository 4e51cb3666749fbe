"""Who guesses tokens with a model."""

from typing import Protocol

from workers.engine.batch import Plan
from workers.engine.sequence import Sequence


class Drafter(Protocol):
    """Guesses for many sequences at once."""

    token_cost: float
    """Nanoseconds that it takes to catch up with one token of a prompt, of late; 0 = unknown, or nothing."""

    def draft(self, sequences: list[Sequence], limits: list[int], room: int) -> None:
        """Sets the draft of each sequence, of at most so many tokens; sequences without media, ascending slots. Streams
        can wait for it to catch up with `room` tokens."""
        ...

    def follow(self, plan: Plan) -> None:
        """Sees a step that was computed and whose tokens were taken; before the next one is."""
        ...
