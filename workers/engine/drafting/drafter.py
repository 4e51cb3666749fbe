"""Who guesses tokens with a model."""

from typing import Protocol

from workers.engine.batch import Plan
from workers.engine.sequence import Sequence


class Drafter(Protocol):
    """Guesses for many sequences at once."""

    def draft(self, sequences: list[Sequence], limits: list[int]) -> None:
        """Sets the draft of each sequence, of at most so many tokens; sequences without media, ascending slots."""
        ...

    def follow(self, plan: Plan) -> None:
        """Sees a step that was computed and whose tokens were taken; before the next one is."""
        ...
