"""How many tokens to draft: as many as give the most tokens per second, by measurement.

What a longer batch costs depends on the device, the number of streams and the length of their contexts, so it is not
modelled: each length is tried now and then, and the best one used.
"""

from dataclasses import dataclass, field

from workers.engine.pace import bucket, smooth

LENGTHS = (0, 1, 2, 4, 8)
"""Tokens per draft that are tried."""

MARGIN = 1.1
"""How much faster than plain steps drafts must be: measured times are noisy, and a plain step is the safe one."""

PROBE_EVERY = 64
"""Steps between two tries of a length that is not the best known: what tries cost stays within a few per cent."""


@dataclass(slots=True)
class _Rates:
    """Tokens per nanosecond of each length, of late; 0 = not tried."""

    rates: dict[int, float] = field(default_factory=dict[int, float])
    steps: int = 0


class Gain:
    """Learns how fast each draft length is, for each number of streams."""

    def __init__(self) -> None:
        self._known: dict[int, _Rates] = {}
        self._probe = 0

    def length(self, streams: int, limit: int) -> int:
        """Tokens to draft for each of `streams` sequences now, at most `limit`."""
        known = self._of(streams)
        lengths = [length for length in LENGTHS if length <= limit]
        new = next((length for length in lengths if length not in known.rates), None)
        if new is not None:
            return new
        known.steps += 1
        if known.steps % PROBE_EVERY == 0:
            self._probe += 1
            return lengths[self._probe % len(lengths)]
        best = max(lengths, key=lambda length: known.rates[length])
        return best if known.rates[best] > MARGIN * known.rates[0] else 0

    def observe(self, streams: int, length: int, tokens: int, elapsed_ns: int) -> None:
        """Takes a step that gave `tokens` to `streams` sequences with drafts of `length`, 0 = none."""
        rates = self._of(streams).rates
        rates[length] = smooth(rates.get(length, 0.0), tokens / max(elapsed_ns, 1))

    def _of(self, streams: int) -> _Rates:
        return self._known.setdefault(bucket(streams), _Rates())
