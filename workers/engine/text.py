"""From tokens to text that can be sent: whole UTF-8 characters, and nothing of a stop string."""

import codecs
from collections.abc import Iterable

from workers.engine.stop_strings import StopStrings


class TextStream:
    """The text of one sequence."""

    def __init__(self, stop: Iterable[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = StopStrings(stop)

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended the text. What follows it is dropped."""
        return self._stop.matched

    def feed(self, piece: bytes) -> str:
        """Returns the text that is safe to send after `piece`."""
        return "" if self.stopped else self._stop.feed(self._decoder.decode(piece))

    def end(self) -> str:
        """Returns the text that was held back. An unfinished character is dropped."""
        return self._stop.end()
