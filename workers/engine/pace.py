"""How much of a prompt to compute beside running decodes, so that streams keep their rhythm on any device.

The sizes come from measured times: a chunk of so many tokens that the step takes `max_gap` plain decode steps at most.
A fixed chunk would be a hiccup of seconds on a CPU, or a waste of a fast GPU.
"""

SMOOTHING = 0.2
"""Weight of the newest measurement: follows a growing context within some steps, ignores a single slow one."""

MIN_CHUNK = 8
"""Tokens of a prompt that every step computes at least: a long prompt must get on, too."""


class Pace:
    """Learns the cost of decode steps and of prompt tokens; times are nanoseconds."""

    def __init__(self, max_gap: float, max_chunk: int) -> None:
        self._max_gap = max_gap
        self._max_chunk = max_chunk
        self._decode_steps: dict[int, float] = {}  # by the number of rows, rounded down to a power of two
        self._prompt_token = 0.0
        self._rows = 1  # of the last decode

    def chunk(self, decoding: int, prompts: int) -> int:
        """Prompt tokens for a step in which `decoding` streams get a token and `prompts` wait to be computed. The more
        prompts wait, the longer the streams do: a crowd is served faster together than one by one."""
        self._rows = max(decoding, 1)
        return self.affordable(self._prompt_token, max(1.0, prompts / 2))

    def affordable(self, token_cost: float, patience: float = 1.0) -> int:
        """How many tokens of that cost (0 = unknown) a stream may wait for beside its own decode step, in a gap of
        `patience` times the longest."""
        step = self._decode_step(self._rows)
        if not step or not token_cost:
            return self._max_chunk
        return int(min(max((self._max_gap * patience - 1) * step / token_cost, MIN_CHUNK), self._max_chunk))

    def observe(self, elapsed: int, *, decoded: int, prefilled: int) -> None:
        """Takes the time of a step that computed `decoded` decode rows and `prefilled` prompt tokens."""
        if not prefilled:
            rows = _bucket(decoded)
            self._decode_steps[rows] = smooth(self._decode_steps.get(rows, 0.0), elapsed)
        elif prefilled >= MIN_CHUNK:
            beside = self._decode_step(decoded) if decoded else 0.0
            self._prompt_token = smooth(self._prompt_token, max(elapsed - beside, 0.0) / prefilled)

    def _decode_step(self, rows: int) -> float:
        """The time of a step of so many rows, 0 = unknown. Where none was measured: that of fewer rows in proportion,
        which is an upper bound, else that of the next more."""
        rows = _bucket(rows)
        fewer = [known for known in self._decode_steps if known <= rows]
        if fewer:
            nearest = max(fewer)
            return self._decode_steps[nearest] * rows / nearest
        return self._decode_steps[min(self._decode_steps)] if self._decode_steps else 0.0


def _bucket(rows: int) -> int:
    return 1 << max(rows.bit_length() - 1, 0)


def smooth(average: float, value: float) -> float:
    """A running average with one more value; 0 = none yet."""
    return value if not average else average + SMOOTHING * (value - average)
