"""Where a stop string is matched: text up to its first one, held back while it may still become part of one.

All stop strings are looked for at once (Aho and Corasick, 1975). However many and long they are, a character takes two
steps at most, on average over a text.
"""

from collections.abc import Iterable, Sequence


class StopStrings:
    """The stop strings of one sequence."""

    def __init__(self, stop: Iterable[str] = ()) -> None:
        self._stop = tuple(text for text in stop if text)
        self._beginnings = Beginnings(self._stop)
        self._state = 0  # the longest beginning of a stop string that ends the text so far
        self._held = ""
        self.matched = False

    def feed(self, text: str) -> str:
        """Returns the text that is safe to send after `text`. Sets `matched` when a stop string is complete: the text
        ends before it."""
        if not self._stop:
            return text
        first = self._first_match(text)
        text, self._held = self._held + text, ""
        if first is not None:
            self.matched = True
            return text[:first]
        safe = len(text) - self._beginnings.length[self._state]
        self._held = text[safe:]
        return text[:safe]

    def end(self) -> str:
        """Returns the text that was held back and is no stop string."""
        held, self._held = self._held, ""
        return held

    def _first_match(self, text: str) -> int | None:
        """Returns where the first of the stop strings begins that end in `text`, counted from the held text on."""
        beginnings, state, first = self._beginnings, self._state, None
        for end, character in enumerate(text, len(self._held) + 1):
            state = beginnings.after(state, character)
            if first is not None and end - beginnings.length[state] >= first:
                break  # what may still match begins no earlier
            if match := beginnings.match[state]:
                first = end - match if first is None else min(first, end - match)
        self._state = state
        return first


class Beginnings:
    """The beginnings of some strings, as the states of an automaton. State 0 is the empty beginning."""

    def __init__(self, strings: Sequence[str]) -> None:
        self.length = [0]
        """Characters of each beginning."""
        self.match = [0]
        """Characters of the longest string that ends each beginning; 0 where none does."""
        self._longer: list[dict[str, int]] = [{}]
        """The beginnings that are one character longer than each, by that character."""
        self._shorter = [0]
        """The longest beginning that ends each, other than itself."""
        self._add(strings)

    def after(self, state: int, character: str) -> int:
        """Returns the longest beginning that ends the text of a state and one more character."""
        while (longer := self._longer[state].get(character)) is None and state:
            state = self._shorter[state]
        return longer or 0

    def _add(self, strings: Sequence[str]) -> None:
        """Adds the beginnings of all strings, shorter ones first: the longer ones refer to them."""
        growing = [(0, string) for string in strings]
        length = 0
        while growing:
            growing = [(self._extended(state, string[length]), string) for state, string in growing]
            length += 1
            for state, string in growing:
                if len(string) == length:
                    self.match[state] = length
            growing = [(state, string) for state, string in growing if len(string) > length]

    def _extended(self, state: int, character: str) -> int:
        """Returns the beginning that is one character longer. Adds it where it is missing."""
        if (longer := self._longer[state].get(character)) is not None:
            return longer
        ending = self.after(self._shorter[state], character) if state else 0
        new = self._longer[state][character] = len(self.length)
        self._longer.append({})
        self._shorter.append(ending)
        self.length.append(self.length[state] + 1)
        self.match.append(self.match[ending])
        return new
