"""Which CPUs a worker runs on."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

ALL_CPUS: frozenset[int] = frozenset()


class CpuSets:
    """A host's sets of CPUs, lent to its workers."""

    def __init__(self, sets: Sequence[frozenset[int]]) -> None:
        self._sets = sets
        self._workers = [0] * len(sets)

    @contextmanager
    def lent(self) -> Generator[frozenset[int]]:
        """The set that the fewest workers have, the first of these, for the time of the context; ALL_CPUS where there
        are no sets."""
        if not self._sets:
            yield ALL_CPUS
            return
        chosen = self._workers.index(min(self._workers))
        self._workers[chosen] += 1
        try:
            yield self._sets[chosen]
        finally:
            self._workers[chosen] -= 1
