"""Finds the name of a tool in text that streams."""

from collections.abc import Iterable

from remuda.aho_corasick import AhoCorasick


class NameSearch:
    """Finds the first of some names: the longest, if several begin at one place."""

    def __init__(self, names: Iterable[str]) -> None:
        self._search = AhoCorasick(names)
        self._state = 0
        self._read = 0  # characters since the search began
        self._name = ""
        self._begin = 0  # of the name
        self._is_certain = False

    def feed(self, text: str, start: int) -> int | None:
        """Takes `text` from `start` on. Returns where the search ended, which is `start` if it had ended before; None
        while no name is certain."""
        if self._is_certain:
            return start
        for place in range(start, len(text)):
            state = self._search.after(self._state, text[place])
            if self._name and self._read + 1 - self._search.length[state] > self._begin:
                self._is_certain = True  # what may still become a name begins later
                return place
            self._state, self._read = state, self._read + 1
            self._see_match()
            if self._is_certain:
                return place + 1
        return None

    def take(self) -> str:
        """Returns the name and begins a new search."""
        name, self._name = self._name, ""
        self._state, self._read, self._is_certain = 0, 0, False
        return name

    def _see_match(self) -> None:
        """Sees a name that ends the text so far."""
        match = self._search.match[self._state]
        begin = self._read - len(match)
        if match and (not self._name or (begin, -len(match)) < (self._begin, -len(self._name))):
            self._name, self._begin = match, begin
        is_whole = bool(match) and self._search.length[self._state] == len(match)
        self._is_certain = is_whole and begin == self._begin and not self._search.may_grow(self._state)
