"""Maps a prompt's tokens to llama.cpp's positions. They differ after media that have fewer positions than cells."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate

from workers.engine.media.prompt import MediaSpan


class Positions:
    """The spans of one sequence."""

    __slots__ = ("_saved", "_starts", "spans")

    def __init__(self, spans: Iterable[MediaSpan] = ()) -> None:
        """`spans` come in the order of their starts."""
        self.spans = tuple(spans)
        self._starts = [span.start for span in self.spans]
        self._saved = [0, *accumulate(span.cells - span.positions for span in self.spans)]

    def __bool__(self) -> bool:
        """Whether there are any media."""
        return bool(self.spans)

    def of(self, index: int) -> int:
        """Returns llama.cpp's position of the token at `index`, which may be one past the last. Every index in a span
        gives the span's first position."""
        if not self.spans:
            return index
        before = bisect_right(self._starts, index)
        if before and index < self.spans[before - 1].end:
            before, index = before - 1, self._starts[before - 1]
        return index - self._saved[before]

    def cut(self, length: int) -> int:
        """Returns the greatest length up to `length` that ends inside no span."""
        before = bisect_left(self._starts, length)
        if before and length < self.spans[before - 1].end:
            return self._starts[before - 1]
        return length

    def span_at(self, index: int) -> MediaSpan | None:
        """Returns the span that contains `index`."""
        before = bisect_right(self._starts, index)
        return self.spans[before - 1] if before and index < self.spans[before - 1].end else None
