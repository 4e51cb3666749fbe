"""How many tokens to draft: the number that gives the most tokens per second, by measurement.

The cost of a longer batch depends on the device, the number of streams and the length of their contexts. There is no
model of it: each length is tried now and then, and the best one used.
"""

from dataclasses import dataclass, field

from workers.engine.pace import bucket, smooth

LENGTHS = (0, 1, 2, 4, 8)
"""Tokens of a draft. Each of these lengths is tried."""

MARGIN = 1.1
"""Drafts must be so much faster than plain steps: measured times are noisy, and a plain step is safe."""

PROBE_EVERY = 64
"""Steps between two tries of other lengths than the best one: tries cost a few per cent at most."""


@dataclass(slots=True)
class _Rates:
    """The measurements for one number of streams."""

    rates: dict[int, float] = field(default_factory=dict[int, float])  # tokens per nanosecond, by the length
    steps: int = 0  # with the best length


class Gain:
    """Learns the speed of each draft length, for each number of streams."""

    def __init__(self) -> None:
        self._by_streams: dict[int, _Rates] = {}
        self._probe = 0

    def length(self, streams: int, limit: int) -> int:
        """Returns the tokens to draft for each of `streams` sequences now, at most `limit`."""
        measured = self._of(streams)
        lengths = [length for length in LENGTHS if length <= limit]
        untried = next((length for length in lengths if length not in measured.rates), None)
        if untried is not None:
            return untried
        measured.steps += 1
        if measured.steps % PROBE_EVERY == 0:
            self._probe += 1
            return lengths[self._probe % len(lengths)]
        best = max(lengths, key=lambda length: measured.rates[length])
        return best if measured.rates[best] > MARGIN * measured.rates[0] else 0

    def observe(self, streams: int, length: int, tokens: int, elapsed_ns: int) -> None:
        """Learns from a step that gave `tokens` to `streams` sequences with drafts of `length`; 0 = no drafts."""
        rates = self._of(streams).rates
        rates[length] = smooth(rates.get(length, 0.0), tokens / max(elapsed_ns, 1))

    def _of(self, streams: int) -> _Rates:
        return self._by_streams.setdefault(bucket(streams), _Rates())
