"""Finds strings in a text that streams, all at once (Aho and Corasick, 1975).

However many and long the strings are, a character takes two steps at most, on average over a text.
"""

from collections.abc import Iterable


class AhoCorasick:
    """The automaton. Its states are the beginnings of the strings; state 0 is the empty beginning.

    A text's state is the longest beginning that ends it. Long beginnings are added when a text first comes so far.
    """

    def __init__(self, strings: Iterable[str]) -> None:
        self.length = [0]
        """Characters of each beginning."""
        self.match = [""]
        """The longest string that ends each beginning; empty where none does."""
        self._longer: list[dict[str, int]] = [{}]
        """The beginnings that are one character longer than each, by that character."""
        self._shorter = [0]
        """The longest other beginning that ends each."""
        self._incomplete = [(0, string) for string in strings if string]
        """The longest beginning of each string that is longer than all beginnings."""
        self._longest = 0

    def after(self, state: int, character: str) -> int:
        """Returns the state of a text after one more character."""
        if self.length[state] == self._longest:
            self._lengthen()
        while (longer := self._longer[state].get(character)) is None and state:
            state = self._shorter[state]
        return longer or 0

    def may_grow(self, state: int) -> bool:
        """Returns whether a beginning is not all of its string."""
        if self.length[state] == self._longest:
            self._lengthen()
        return bool(self._longer[state])

    def _lengthen(self) -> None:
        """Adds all beginnings that are one character longer than the longest ones."""
        self._longest += 1
        incomplete: list[tuple[int, str]] = []
        for state, string in self._incomplete:
            longer = self._extended(state, string[self._longest - 1])
            if len(string) == self._longest:
                self.match[longer] = string
            else:
                incomplete.append((longer, string))
        self._incomplete = incomplete

    def _extended(self, state: int, character: str) -> int:
        """Returns the beginning that is one character longer than a longest one. Adds it where it is missing."""
        if (longer := self._longer[state].get(character)) is not None:
            return longer
        ending = self.after(self._shorter[state], character) if state else 0
        new = self._longer[state][character] = len(self.length)
        self._longer.append({})
        self._shorter.append(ending)
        self.length.append(self._longest)
        self.match.append(self.match[ending])
        return new
