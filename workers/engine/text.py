"""From tokens to text that can be sent: whole UTF-8 characters, and nothing of a stop string."""

import codecs
from collections.abc import Iterable


class TextStream:
    """The text of one sequence. Holds back what may still become part of a stop string."""

    def __init__(self, stop: Iterable[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.stopped = False

    def feed(self, piece: bytes) -> str:
        """Text that is safe to send after `piece`. Sets `stopped` when a stop string is complete: the text ends
        before it, and what follows is dropped."""
        if self.stopped:
            return ""
        text = self._decoder.decode(piece)
        if not self._stop:
            return text
        return self._match(self._held + text)

    def end(self) -> str:
        """What was held back and turned out to be no stop string. An unfinished character is dropped."""
        held, self._held = self._held, ""
        return "" if self.stopped else held

    def _match(self, text: str) -> str:
        found = [place for place in map(text.find, self._stop) if place >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        hold = max(_overlap(text, stop) for stop in self._stop)
        self._held = text[len(text) - hold :]
        return text[: len(text) - hold]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop` (never all of it)."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
