"""Where a stop string is matched: text up to its first one, held back while it may still become part of one."""

from collections.abc import Iterable


class StopStrings:
    """The stop strings of one sequence."""

    def __init__(self, stop: Iterable[str] = ()) -> None:
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.matched = False

    def feed(self, text: str) -> str:
        """Returns the text that is safe to send after `text`. Sets `matched` when a stop string is complete: the text
        ends before it."""
        return self._match(self._held + text) if self._stop else text

    def end(self) -> str:
        """Returns the text that was held back and is no stop string."""
        held, self._held = self._held, ""
        return held

    def _match(self, text: str) -> str:
        places = [place for place in map(text.find, self._stop) if place >= 0]
        if places:
            self.matched, self._held = True, ""
            return text[: min(places)]
        hold = max(_overlap(text, stop) for stop in self._stop)
        self._held = text[len(text) - hold :]
        return text[: len(text) - hold]


def _overlap(text: str, stop: str) -> int:
    """Returns the length of the longest end of `text` that begins `stop`. It is never all of `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
