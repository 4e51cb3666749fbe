"""A radix tree over the tokens of parked states. The time of a search grows with the prompt, not with the states.

An edge is a block of tokens. Where two prompts part within a block, the tree finds only the blocks before it: a step or
two computes the rest of a block.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from workers.engine.common_prefix import common_prefix
from workers.engine.parking.parked_state import ParkedState

BLOCK = 64
"""Tokens of one edge."""

LOOKED_AT = 16
"""Children to look at for one where a state ends."""

Tokens: TypeAlias = tuple[int, ...]


@dataclass(slots=True)
class Node:
    """A place in the tree, after whole blocks of tokens."""

    children: dict[Tokens, "Node"] = field(default_factory=dict[Tokens, "Node"])  # by the next whole block
    ends: dict[Tokens, ParkedState] = field(default_factory=dict[Tokens, ParkedState])  # by their last tokens

    @property
    def empty(self) -> bool:
        return not (self.children or self.ends)

    def any(self) -> ParkedState:
        """Returns a state at or below this node, which must not be empty. A short one is better, because states are
        restored whole."""
        node = self
        while not node.ends:
            some = list(islice(node.children.values(), LOOKED_AT))
            node = next((child for child in some if child.ends), some[0])
        return next(iter(node.ends.values()))

    def ending_within(self, tokens: Tokens) -> list[ParkedState]:
        """Returns the states whose last tokens begin `tokens`, the longest first."""
        if not self.ends:
            return []
        tails = (tokens[:length] for length in range(min(len(tokens), BLOCK - 1), -1, -1))
        return [self.ends[tail] for tail in tails if tail in self.ends]


class StateTree:
    """One tree for each set of adapters: states with different adapters have nothing in common."""

    def __init__(self) -> None:
        self._roots: dict[tuple[str, ...], Node] = {}

    def add(self, state: ParkedState) -> ParkedState | None:
        """Adds a state. Returns the state of the very same tokens that it replaces."""
        node = self._roots.setdefault(state.adapters, Node())
        *blocks, tail = _blocks(state.tokens)
        for block in blocks:
            node = node.children.setdefault(block, Node())
        replaced, node.ends[tail] = node.ends.get(tail), state
        return replaced

    def remove(self, state: ParkedState) -> None:
        """Removes a state, which must be in the tree."""
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
        """Yields states that share a prefix with these tokens, and its length, the longest first.

        States that are whole prefixes all come. Of those that go on otherwise there is one at most.
        """
        path = self._path(tokens, adapters)
        for depth in range(len(path) - 1, -1, -1):
            node, start = path[depth], depth * BLOCK
            for state in node.ending_within(tuple(tokens[start : start + BLOCK])):
                yield state, len(state.tokens)
            if 0 < depth == len(path) - 1:
                state = node.any()
                yield state, start + common_prefix(state.tokens[start:], tokens[start:])

    def beginnings(self, tokens: list[int], adapters: tuple[str, ...]) -> list[ParkedState]:
        """Returns the states that are whole prefixes of these tokens."""
        return [
            state
            for depth, node in enumerate(self._path(tokens, adapters))
            for state in node.ending_within(tuple(tokens[depth * BLOCK : (depth + 1) * BLOCK]))
        ]

    def _path(self, tokens: list[int], adapters: tuple[str, ...]) -> list[Node]:
        """Returns the nodes along whole blocks of these tokens, from the root."""
        node, path = self._roots.get(adapters), list[Node]()
        for block in _blocks(tokens):
            if node is None:
                break
            path.append(node)
            node = node.children.get(block)
        return path


def _blocks(tokens: list[int]) -> Iterator[Tokens]:
    """Yields whole blocks, then the rest, which may be empty."""
    return (tuple(tokens[start : start + BLOCK]) for start in range(0, len(tokens) + 1, BLOCK))
