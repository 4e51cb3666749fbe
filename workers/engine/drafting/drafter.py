"""What the engine needs of a model that drafts."""

from typing import Protocol

from workers.engine.plan import Plan
from workers.engine.sequence import Sequence


class Drafter(Protocol):
    """Drafts tokens for many sequences at once, by a draft model or by the model's own heads."""

    token_cost: float
    """Nanoseconds to catch up with one prompt token, a running average; 0 = unknown, or no cost."""

    def catch_up(self, sequences: list[Sequence], room: int) -> list[Sequence]:
        """Computes at most `room` tokens that it lacks, and returns the sequences that are complete.

        The sequences have no media, and come in ascending order of their slots.
        """
        ...

    def draft(self, sequences: list[Sequence], limits: list[int]) -> None:
        """Sets the drafts of complete sequences. Each limit is in tokens, one at least."""
        ...

    def follow(self, plan: Plan) -> None:
        """Learns of a computed step, after its tokens are appended and before the next step."""
        ...
