"""A radix tree over the tokens of parked states. The states that begin as a prompt does are found in time that grows
with the prompt, however many states there are.

An edge is a block of tokens. Where two prompts part within a block, the tree knows only of the blocks before: less than
a block is computed in a step or two.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from workers.engine.common_prefix import common_prefix
from workers.engine.parking.state import ParkedState

BLOCK = 64
"""Tokens of an edge."""

LOOKED_AT = 16
"""Children among which one is looked for where a state ends."""

Tokens: TypeAlias = tuple[int, ...]


@dataclass(slots=True)
class Node:
    """States that go on from here by whole blocks, and those that end within the next one, by what is left of them."""

    children: dict[Tokens, "Node"] = field(default_factory=dict[Tokens, "Node"])
    ends: dict[Tokens, ParkedState] = field(default_factory=dict[Tokens, ParkedState])

    @property
    def empty(self) -> bool:
        return not (self.children or self.ends)

    def any(self) -> ParkedState:
        """A state at or below this node, which is not empty; a short one where that is seen at once, since a state is
        restored as a whole."""
        node = self
        while not node.ends:
            some = list(islice(node.children.values(), LOOKED_AT))
            node = next((child for child in some if child.ends), some[0])
        return next(iter(node.ends.values()))

    def ending_within(self, tokens: Tokens) -> list[ParkedState]:
        """The states that are whole beginnings of what follows here, the longest first."""
        if not self.ends:
            return []
        tails = (tokens[:length] for length in range(min(len(tokens), BLOCK - 1), -1, -1))
        return [self.ends[tail] for tail in tails if tail in self.ends]


class StateTree:
    """States that were computed with different adapters have nothing in common."""

    def __init__(self) -> None:
        self._roots: dict[tuple[str, ...], Node] = {}

    def add(self, state: ParkedState) -> ParkedState | None:
        """Adds a state. The one of the very same tokens, whose place it takes."""
        node = self._roots.setdefault(state.adapters, Node())
        *blocks, tail = _blocks(state.tokens)
        for block in blocks:
            node = node.children.setdefault(block, Node())
        replaced, node.ends[tail] = node.ends.get(tail), state
        return replaced

    def remove(self, state: ParkedState) -> None:
        """Removes a state that is in the tree."""
        *blocks, tail = _blocks(state.tokens)
        path = [self._roots[state.adapters]]
        for block in blocks:
            path.append(path[-1].children[block])
        del path[-1].ends[tail]
        for parent, block in zip(reversed(path[:-1]), reversed(blocks), strict=True):
            if parent.children[block].empty:
                del parent.children[block]
        if path[0].empty:
            del self._roots[state.adapters]

    def alike(self, tokens: list[int], adapters: tuple[str, ...]) -> Iterator[tuple[ParkedState, int]]:
        """States that begin as these tokens do, with the number of tokens in common: those that are whole beginnings,
        the longest first, and before the shorter ones one that goes on otherwise."""
        path = self._path(tokens, adapters)
        for depth in range(len(path) - 1, -1, -1):
            node, start = path[depth], depth * BLOCK
            for state in node.ending_within(tuple(tokens[start : start + BLOCK])):
                yield state, len(state.tokens)
            if 0 < depth == len(path) - 1:
                state = node.any()
                yield state, start + common_prefix(state.tokens[start:], tokens[start:])

    def beginnings(self, tokens: list[int], adapters: tuple[str, ...]) -> list[ParkedState]:
        """The states that are whole beginnings of these tokens."""
        return [
            state
            for depth, node in enumerate(self._path(tokens, adapters))
            for state in node.ending_within(tuple(tokens[depth * BLOCK : (depth + 1) * BLOCK]))
        ]

    def _path(self, tokens: list[int], adapters: tuple[str, ...]) -> list[Node]:
        """The nodes along whole blocks of these tokens, from the root."""
        node, path = self._roots.get(adapters), list[Node]()
        for block in _blocks(tokens):
            if node is None:
                break
            path.append(node)
            node = node.children.get(block)
        return path


def _blocks(tokens: list[int]) -> Iterator[Tokens]:
    """Whole blocks, and what is left: less than a block, maybe nothing."""
    return (tuple(tokens[start : start + BLOCK]) for start in range(0, len(tokens) + 1, BLOCK))
