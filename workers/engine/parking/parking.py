"""Where states are parked: in host memory first, then on disk."""

from collections.abc import Iterator

from workers.engine.memory import State
from workers.engine.parking.disk import Disk
from workers.engine.parking.parked_state import ParkedState
from workers.engine.parking.parked_states import ParkedPrefix, ParkedStates, Usable
from workers.engine.parking.spare_memory import Spare

LARGE = 4
"""A state is large from this part (one over LARGE) of all room."""


class Parking:
    """Parked states. Those in memory have at most `memory_limit` bytes."""

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
        """Bytes of the states in memory."""
        return self._states.bytes

    def expect(self, size: int) -> None:
        """Prepares memory for a state of so many bytes that may be parked soon. Old states make room for it, unless it
        is large."""
        if size * LARGE <= self._limit:
            self._spare.expect(size)
            self._make_room()

    def room(self, size: int) -> State | None:
        """Returns memory for a state of so many bytes; None when it is larger than all room."""
        return self._spare.take(size) if size <= self._limit else None

    def find(self, tokens: list[int], adapters: tuple[str, ...], usable: Usable) -> ParkedPrefix:
        """Returns the state that saves most of these tokens."""
        in_memory = self._states.find(tokens, adapters, usable)
        if self._disk is None:
            return in_memory
        return max(in_memory, self._disk.find(tokens, adapters, usable), key=lambda prefix: prefix.length)

    def park(self, new: ParkedState, *, cuttable: bool) -> None:
        """Keeps a state. The states that it makes superfluous go, and the least recently used ones when room lacks."""
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
        """Marks a state as just used."""
        if used in self._states:
            self._states.touch(used)
        elif self._disk is not None:
            self._disk.touch(used)
