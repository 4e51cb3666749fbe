"""Slots: llama.cpp's sequence ids, their running sequences, and the cells that ended sequences left.

With one KV stream per sequence, llama.cpp computes each run of consecutive sequence ids in a pass of its own. Every gap
costs a pass. So a newcomer gets a slot beside the running ones, and the highest sequence moves into an old gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from workers.engine.sequence import Sequence

PATIENCE = 16
"""Steps that a gap may stay open. A move copies a whole KV stream, which costs about as much as a few more passes.
Under load the next request fills the gap first."""


@dataclass(slots=True)
class Slot:
    """One sequence id."""

    id: int
    sequence: Sequence | None = None
    held: list[int] = field(default_factory=list[int])  # tokens whose cells the last sequence left
    adapters: tuple[str, ...] = ()  # files with which its cells were computed
    used_at: int = 0  # count of `take` calls when it was taken last

    @property
    def cached(self) -> list[int]:
        """The tokens whose cells a newcomer can use, of a running or of an ended sequence."""
        return self.held if self.sequence is None else self.sequence.reusable


class Slots:
    """A fixed number of slots. Iteration yields the running sequences in ascending order of their slots."""

    def __init__(self, capacity: int, *, consecutive: bool = True) -> None:
        """`consecutive`: whether gaps between running ids cost passes, and are closed."""
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
        """Returns the free slot for a newcomer without a computed prefix. Raises ValueError when all are taken.

        Slots beside the running ones go first, then the least recently used one.
        """
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
        """Frees the sequence's slot. Its cells stay until another sequence takes the slot."""
        slot = self.all[sequence.slot]
        slot.held, slot.sequence = slot.cached, None
        sequence.slot = -1
        return slot

    def idle(self) -> list[Slot]:
        """Returns the slots with cells of ended sequences, the least recently used first."""
        return sorted((slot for slot in self.all if slot.held), key=lambda slot: slot.used_at)

    def old_gap(self) -> Slot | None:
        """Returns the lowest gap, once there has been one for more than PATIENCE steps. Called each step until None."""
        gap = self._gap() if self._consecutive else None
        self._steps_with_gap = self._steps_with_gap + 1 if gap is not None else 0
        return gap if self._steps_with_gap > PATIENCE else None

    def move_highest(self, gap: Slot) -> int:
        """Moves the highest running sequence into a gap. Returns the id of its old slot, which keeps its cells."""
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
