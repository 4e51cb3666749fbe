"""Sequence ids: who runs under which, and what of the sequence before is still in the KV cache under it.

With one KV stream per sequence llama.cpp splits a batch into one pass for each run of consecutive, ascending sequence
ids: gaps cost a pass each. So a newcomer gets a slot beside the running ones, and a gap that no newcomer filled for a
while is closed by moving the highest sequence into it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from workers.engine.sequence import Sequence

PATIENCE = 16
"""Steps that a gap may stay open. A move copies a whole KV stream, which costs about as much as a few passes more;
under load the next request fills the gap before that."""


@dataclass(slots=True)
class Slot:
    """One sequence id. `held` are the tokens whose cells it keeps of a sequence that has left it, computed with
    `adapters`."""

    id: int
    sequence: Sequence | None = None
    held: list[int] = field(default_factory=list[int])
    adapters: tuple[str, ...] = ()
    used_at: int = 0

    @property
    def cached(self) -> list[int]:
        """The tokens whose cells are computed, whoever they belong to."""
        return self.held if self.sequence is None else self.sequence.reusable


class Slots:
    """A fixed number of slots; iteration gives the running sequences in ascending order of their slots."""

    def __init__(self, capacity: int, *, consecutive: bool = True) -> None:
        """`consecutive`: whether gaps between running ids cost anything, and are closed."""
        self.all = [Slot(id) for id in range(capacity)]
        self._consecutive = consecutive
        self._steps_with_gap = 0
        self._clock = 0

    def __iter__(self) -> Iterator[Sequence]:
        return (slot.sequence for slot in self.all if slot.sequence is not None)

    def __len__(self) -> int:
        return sum(slot.sequence is not None for slot in self.all)

    @property
    def full(self) -> bool:
        return all(slot.sequence is not None for slot in self.all)

    def best_free(self) -> Slot:
        """The free slot for a newcomer whose prompt nobody holds: one that keeps the running ids consecutive, and of
        these the one used longest ago. Raises ValueError when all are taken."""
        free = [slot for slot in self.all if slot.sequence is None]
        beside = [slot for slot in free if self._consecutive and self._touches_running(slot)]
        return min(beside or free, key=lambda slot: (slot.used_at, slot.id))

    def take(self, slot: Slot, sequence: Sequence) -> None:
        """Gives a free slot to a sequence."""
        slot.sequence, slot.held, slot.adapters = sequence, [], sequence.adapters
        sequence.slot = slot.id
        self._clock += 1
        slot.used_at = self._clock

    def release(self, sequence: Sequence) -> Slot:
        """Frees the sequence's slot; its cells stay until somebody else needs the slot."""
        slot = self.all[sequence.slot]
        slot.held, slot.sequence = slot.cached, None
        sequence.slot = -1
        return slot

    def idle(self) -> list[Slot]:
        """Slots that hold cells of nobody's, the one used longest ago first."""
        return sorted((slot for slot in self.all if slot.held), key=lambda slot: slot.used_at)

    def old_gap(self) -> Slot | None:
        """Called each step until it gives None: the lowest free slot between running ones, once there has been one for
        longer than PATIENCE."""
        gap = self._gap() if self._consecutive else None
        self._steps_with_gap = self._steps_with_gap + 1 if gap is not None else 0
        return gap if self._steps_with_gap > PATIENCE else None

    def move_highest(self, gap: Slot) -> int:
        """Moves the highest running sequence into a gap. The slot that it leaves, and that keeps its cells."""
        highest = max((slot for slot in self.all if slot.sequence is not None), key=lambda slot: slot.id)
        sequence = highest.sequence
        assert sequence is not None
        self.release(sequence)
        self.take(gap, sequence)
        return highest.id

    def _touches_running(self, slot: Slot) -> bool:
        neighbours = self.all[max(slot.id - 1, 0) : slot.id + 2]
        return any(neighbour.sequence is not None for neighbour in neighbours)

    def _gap(self) -> Slot | None:
        """The lowest free slot between two running ones."""
        running = [slot.id for slot in self.all if slot.sequence is not None]
        if not running or running[-1] - running[0] + 1 == len(running):
            return None
        return next(slot for slot in self.all[running[0] :] if slot.sequence is None)
