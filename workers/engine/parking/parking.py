"""Host memory first, then disk."""

from collections.abc import Iterator

from workers.engine.memory import State
from workers.engine.parking.disk import Disk
from workers.engine.parking.spare import Spare
from workers.engine.parking.state import ParkedState
from workers.engine.parking.states import ParkedPrefix, ParkedStates, Usable

LARGE = 4
"""The part of all room, one over this, from which on a state is large."""


class Parking:
    """Parked states, at most `memory_limit` bytes of them in memory."""

    def __init__(self, memory_limit: int, disk: Disk | None = None) -> None:
        self._limit = memory_limit
        self._disk = disk
        self._states = ParkedStates()
        self._spare = Spare()

    def __iter__(self) -> Iterator[ParkedState]:
        yield from self._states
        if self._disk is not None:
            yield from self._disk

    def __len__(self) -> int:
        return len(self._states) + (len(self._disk) if self._disk is not None else 0)

    @property
    def enabled(self) -> bool:
        return self._limit > 0

    @property
    def bytes(self) -> int:
        """In memory."""
        return self._states.bytes

    def expect(self, size: int) -> None:
        """Prepares memory for a state of so many bytes that may be parked. The states used longest ago go for it ahead
        of time, but not for one that would take a large part of all room."""
        if size * LARGE <= self._limit:
            self._spare.expect(size)
            self._make_room()

    def room(self, size: int) -> State | None:
        """Memory for a state of so many bytes; None where it would not be kept."""
        return self._spare.take(size) if size <= self._limit else None

    def find(self, tokens: list[int], adapters: tuple[str, ...], usable: Usable) -> ParkedPrefix:
        """The state that serves these tokens best."""
        known = self._states.find(tokens, adapters, usable)
        if self._disk is None:
            return known
        return max(known, self._disk.find(tokens, adapters, usable), key=lambda known: known.length)

    def park(self, new: ParkedState, *, cuttable: bool) -> None:
        """Keeps a state. Those that it makes superfluous go, and the ones used longest ago where there is no room."""
        if new.state.nbytes > self._limit:
            return
        self._states.drop_served_by(new, cuttable=cuttable)
        self._states.add(new)
        if self._disk is not None:
            self._disk.drop_served_by(new, cuttable=cuttable)
        if new.state.nbytes + self._spare.size > self._limit:
            self._spare.forget()
        self._make_room()

    def _make_room(self) -> None:
        while self._states and self.bytes + self._spare.size > self._limit:
            oldest = self._states.pop_oldest()
            if self._disk is not None:
                self._disk.park(oldest)

    def touch(self, used: ParkedState) -> None:
        """Remembers that a state was of use."""
        if used in self._states:
            self._states.touch(used)
        elif self._disk is not None:
            self._disk.touch(used)
