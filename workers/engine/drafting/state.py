"""What is known about drafting for one sequence."""

from dataclasses import dataclass, field

from workers.engine.drafting.lookup import Lookup

LONGEST_REST = 64
"""Steps without a draft after many useless ones: long enough to cost nothing, short enough to notice a change."""


@dataclass(slots=True)
class DraftState:
    """After a draft of which nothing was right, the sequence rests for a step; after each further one twice as long."""

    lookup: Lookup = field(default_factory=Lookup)
    _misses: int = 0
    _rest: int = 0

    def ready(self) -> bool:
        """Whether to draft in this step. Called once a step."""
        self._rest -= 1
        return self._rest < 0

    def learn(self, accepted: int) -> None:
        """Takes how many tokens of a draft were right."""
        self._misses = 0 if accepted else self._misses + 1
        self._rest = min(2**self._misses - 1, LONGEST_REST) if self._misses else 0
