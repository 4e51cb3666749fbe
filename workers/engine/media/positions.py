"""Between a prompt's tokens and llama.cpp's positions: they differ after media that take fewer positions than cells."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate

from workers.engine.media.prompt import MediaSpan


class Positions:
    """The spans of one sequence."""

    __slots__ = ("_saved", "_starts", "spans")

    def __init__(self, spans: Iterable[MediaSpan] = ()) -> None:
        """The spans come in the order of their starts."""
        self.spans = tuple(spans)
        self._starts = [span.start for span in self.spans]
        self._saved = [0, *accumulate(span.cells - span.positions for span in self.spans)]

    def __bool__(self) -> bool:
        """Whether there are any media."""
        return bool(self.spans)

    def of(self, index: int) -> int:
        """llama.cpp's position of the token at that index, which may be one past the last. An index inside of a span
        has none of its own: it gives the span's first."""
        if not self.spans:
            return index
        before = bisect_right(self._starts, index)
        if before and index < self.spans[before - 1].end:
            before, index = before - 1, self._starts[before - 1]
        return index - self._saved[before]

    def cut(self, length: int) -> int:
        """The greatest length, at most the given one, that ends inside of no span."""
        before = bisect_left(self._starts, length)
        if before and length < self.spans[before - 1].end:
            return self._starts[before - 1]
        return length

    def span_at(self, index: int) -> MediaSpan | None:
        """The span that has that index."""
        before = bisect_right(self._starts, index)
        return self.spans[before - 1] if before and index < self.spans[before - 1].end else None
