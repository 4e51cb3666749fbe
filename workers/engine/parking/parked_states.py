"""Parked states of one place: found by their first tokens, dropped in the order of their last use."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from workers.engine.parking.parked_state import ParkedState
from workers.engine.parking.tree import StateTree

Usable: TypeAlias = Callable[[int, int], int]
"""`Memory.usable`: how many of a state's tokens serve, by (tokens in common, tokens of the state)."""


class ParkedPrefix(NamedTuple):
    """The prefix of a prompt that a parked state holds."""

    length: int = 0  # tokens that need not be computed
    state: ParkedState | None = None  # None = no state holds any


class ParkedStates:
    """The states in memory, or those on disk."""

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
        """Adds a state. It replaces one of the very same tokens."""
        replaced = self._tree.add(state)
        if replaced is not None:
            self._forget(replaced)
        self._by_use[state] = None
        self.bytes += state.state.nbytes

    def touch(self, state: ParkedState) -> None:
        """Marks a state as just used."""
        self._by_use.move_to_end(state)

    def pop_oldest(self) -> ParkedState:
        """Removes and returns the least recently used state."""
        oldest = next(iter(self._by_use))
        self._tree.remove(oldest)
        self._forget(oldest)
        return oldest

    def drop_served_by(self, new: ParkedState, *, cuttable: bool) -> None:
        """Drops the states that `new` makes superfluous: shorter ones, if it can be cut to them."""
        for old in self._tree.beginnings(new.tokens, new.adapters):
            if cuttable or len(old.tokens) == len(new.tokens):
                self._tree.remove(old)
                self._forget(old)

    def find(self, tokens: list[int], adapters: tuple[str, ...], usable: Usable) -> ParkedPrefix:
        """Returns the state that saves most of these tokens."""
        for state, common in self._tree.alike(tokens, adapters):
            if length := usable(common, len(state.tokens)):
                return ParkedPrefix(length, state)
        return ParkedPrefix()

    def _forget(self, state: ParkedState) -> None:
        del self._by_use[state]
        self.bytes -= state.state.nbytes
