"""Many parked states: found by how they begin, given up in the order of their last use."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from workers.engine.parking.state import ParkedState
from workers.engine.parking.tree import StateTree

Usable: TypeAlias = Callable[[int, int], int]
"""How many of the tokens of a state serve, of (those in common, all of its own): `Memory.usable`."""


class ParkedPrefix(NamedTuple):
    """How many tokens need not be computed, and the state that holds them; None = none does."""

    length: int = 0
    state: ParkedState | None = None


class ParkedStates:
    """States in one place."""

    def __init__(self) -> None:
        self._tree = StateTree()
        self._by_use: OrderedDict[ParkedState, None] = OrderedDict()  # least recently used first
        self.bytes = 0

    def __iter__(self) -> Iterator[ParkedState]:
        return iter(self._by_use)

    def __len__(self) -> int:
        return len(self._by_use)

    def __contains__(self, state: ParkedState) -> bool:
        return state in self._by_use

    def add(self, state: ParkedState) -> None:
        """Adds a state, in the place of one of the very same tokens."""
        replaced = self._tree.add(state)
        if replaced is not None:
            self._forget(replaced)
        self._by_use[state] = None
        self.bytes += state.state.nbytes

    def touch(self, state: ParkedState) -> None:
        """Remembers that a state was of use."""
        self._by_use.move_to_end(state)

    def pop_oldest(self) -> ParkedState:
        """Gives up the state used longest ago."""
        oldest = next(iter(self._by_use))
        self._tree.remove(oldest)
        self._forget(oldest)
        return oldest

    def drop_served_by(self, new: ParkedState, *, cuttable: bool) -> None:
        """Gives up what is of no use beside `new`: shorter states, where it can be cut to them."""
        for old in self._tree.beginnings(new.tokens, new.adapters):
            if cuttable or len(old.tokens) == len(new.tokens):
                self._tree.remove(old)
                self._forget(old)

    def find(self, tokens: list[int], adapters: tuple[str, ...], usable: Usable) -> ParkedPrefix:
        """The state that serves these tokens best."""
        for state, common in self._tree.alike(tokens, adapters):
            if length := usable(common, len(state.tokens)):
                return ParkedPrefix(length, state)
        return ParkedPrefix()

    def _forget(self, state: ParkedState) -> None:
        del self._by_use[state]
        self.bytes -= state.state.nbytes
