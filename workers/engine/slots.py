"""Sequence ids, kept dense.

With one KV stream per sequence llama.cpp splits a batch into one pass for each run of consecutive, ascending sequence
ids: gaps cost a pass each. So a newcomer gets the lowest free id, and a gap that no newcomer filled for a while is
closed by moving the highest sequence into it.
"""

from collections.abc import Iterator

from workers.engine.sequence import Sequence

PATIENCE = 16
"""Steps that a gap may stay open. A move copies a whole KV stream, which costs about as much as a few passes more;
under load the next request fills the gap before that."""


class Slots:
    """At most `capacity` sequences, in ascending order of their slot."""

    def __init__(self, capacity: int) -> None:
        self._slots: list[Sequence | None] = [None] * capacity
        self._steps_with_gap = 0

    def __iter__(self) -> Iterator[Sequence]:
        return (sequence for sequence in self._slots if sequence is not None)

    def __len__(self) -> int:
        return sum(sequence is not None for sequence in self._slots)

    @property
    def full(self) -> bool:
        return None not in self._slots

    def take(self, sequence: Sequence) -> None:
        """Gives the sequence the lowest free slot. Raises ValueError when all are taken."""
        sequence.slot = self._slots.index(None)
        self._slots[sequence.slot] = sequence

    def release(self, sequence: Sequence) -> None:
        self._slots[sequence.slot] = None
        sequence.slot = -1

    def close_old_gaps(self) -> list[tuple[int, int]]:
        """Called once a step: the moves (from, to) that make the slots dense, once a gap has outstayed PATIENCE."""
        self._steps_with_gap = self._steps_with_gap + 1 if self._has_gap() else 0
        moves: list[tuple[int, int]] = []
        if self._steps_with_gap > PATIENCE:
            while (move := self._close_gap()) is not None:
                moves.append(move)
        return moves

    def _has_gap(self) -> bool:
        taken = [sequence is not None for sequence in self._slots]
        return taken != sorted(taken, reverse=True)

    def _close_gap(self) -> tuple[int, int] | None:
        """Moves the highest sequence into the lowest gap below it and returns (from, to); None when dense."""
        highest = max((i for i, sequence in enumerate(self._slots) if sequence is not None), default=-1)
        gap = self._slots.index(None) if not self.full else len(self._slots)
        if gap > highest:
            return None
        sequence = self._slots[highest]
        assert sequence is not None
        self._slots[gap], self._slots[highest] = sequence, None
        sequence.slot = gap
        return highest, gap
