"""The figures of one run of streams."""

from dataclasses import dataclass
from statistics import median

from loadtests.client import Stream

NS = 1e9


class StreamError(Exception):
    """A stream without times to measure: the run does not count."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Rates are tokens per second, times milliseconds."""

    tokens: int
    prompt_tokens: int
    rate: float
    """All tokens over the time from the first request to the last token."""
    decode_rate: float
    """The rate while every stream decodes: after the last stream's first token, before the first stream's end."""
    ttft: float
    """From the request to the first text, the median of the streams."""
    ttft_max: float
    gap_max: float
    """The longest time between two chunks of one stream."""


def measure(streams: list[Stream]) -> Measurement:
    """Raises StreamError when a stream brought no text."""
    for stream in streams:
        if not stream.arrivals:
            raise StreamError("a stream brought no text")
    tokens = sum(stream.tokens for stream in streams)
    seconds = (max(s.arrivals[-1] for s in streams) - min(s.sent_ns for s in streams)) / NS
    waits = [(stream.arrivals[0] - stream.sent_ns) / 1e6 for stream in streams]
    return Measurement(
        tokens=tokens,
        prompt_tokens=sum(stream.prompt_tokens for stream in streams),
        rate=tokens / seconds,
        decode_rate=decode_rate(streams),
        ttft=median(waits),
        ttft_max=max(waits),
        gap_max=max(longest_gap(stream) for stream in streams),
    )


def decode_rate(streams: list[Stream], since: int = 0) -> float:
    """Returns the tokens per second while all streams decode, after `since` (ns); 0 = they never decode together.

    Chunks may hold several tokens, or tokens half a character: each chunk counts with its stream's mean.
    """
    began = max(since, *(stream.arrivals[0] for stream in streams))
    ended = min(stream.arrivals[-1] for stream in streams)
    if ended <= began:
        return 0.0
    tokens = sum(
        sum(began < arrival <= ended for arrival in stream.arrivals) * stream.tokens / len(stream.arrivals)
        for stream in streams
    )
    return tokens / ((ended - began) / NS)


def longest_gap(stream: Stream, since: int = 0) -> float:
    """Returns the most milliseconds between two chunks of a stream. The second one came after `since` (ns)."""
    pairs = zip(stream.arrivals, stream.arrivals[1:], strict=False)
    return max(((later - earlier) / 1e6 for earlier, later in pairs if later > since), default=0.0)
