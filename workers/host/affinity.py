"""Which CPUs a worker runs on."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

ALL_CPUS: frozenset[int] = frozenset()


class CpuSets:
    """The sets of CPUs that a host lends to its workers."""

    def __init__(self, sets: Sequence[frozenset[int]]) -> None:
        self._sets = sets
        self._workers = [0] * len(sets)

    @contextmanager
    def lent(self) -> Generator[frozenset[int]]:
        """Lends the set that the fewest workers have until the context ends; ALL_CPUS where there are no sets."""
        if not self._sets:
            yield ALL_CPUS
            return
        number = self._workers.index(min(self._workers))
        self._workers[number] += 1
        try:
            yield self._sets[number]
        finally:
            self._workers[number] -= 1
