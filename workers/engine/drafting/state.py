"""The drafting state of one sequence."""

from dataclasses import dataclass, field

from workers.engine.drafting.lookup import Lookup

LONGEST_REST = 64
"""Most steps without a draft after useless ones: many enough to cost nothing, few enough to notice a change."""


@dataclass(slots=True)
class DraftState:
    """A sequence rests for a step after a useless draft, and twice as long after each further one."""

    lookup: Lookup = field(default_factory=Lookup)
    _misses: int = 0
    _rest: int = 0

    def ready(self) -> bool:
        """Whether to draft in this step. Called once a step."""
        self._rest -= 1
        return self._rest < 0

    def learn(self, accepted: int) -> None:
        """Learns how many tokens of a draft were right."""
        self._misses = 0 if accepted else self._misses + 1
        self._rest = min(2**self._misses - 1, LONGEST_REST) if self._misses else 0
