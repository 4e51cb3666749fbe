"""Where a stop string is matched: text up to its first one, held back while it may still become part of one."""

from collections.abc import Iterable

from remuda.aho_corasick import AhoCorasick


class StopStrings:
    """The stop strings of one sequence."""

    def __init__(self, stop: Iterable[str] = ()) -> None:
        self._stop = tuple(text for text in stop if text)
        self._search = AhoCorasick(self._stop)
        self._state = 0
        self._held = ""  # the longest beginning of a stop string that ends the text so far
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
        safe = len(text) - self._search.length[self._state]
        self._held = text[safe:]
        return text[:safe]

    def end(self) -> str:
        """Returns the text that was held back and is no stop string."""
        held, self._held = self._held, ""
        return held

    def _first_match(self, text: str) -> int | None:
        """Returns where the first of the stop strings begins that end in `text`, counted from the held text on."""
        search, state, first = self._search, self._state, None
        for end, character in enumerate(text, len(self._held) + 1):
            state = search.after(state, character)
            if first is not None and end - search.length[state] >= first:
                break  # what may still match begins no earlier
            if match := search.match[state]:
                place = end - len(match)
                first = place if first is None else min(first, place)
        self._state = state
        return first
