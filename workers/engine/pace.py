"""How much of a prompt to compute between two decodes, so that streams keep their rhythm on any device.

The sizes come from measured times: a step of prompts takes so long that a stream waits `max_gap` plain decode steps at
most. A fixed chunk would be a hiccup of seconds on a CPU, or a waste of a fast GPU.
"""

SMOOTHING = 0.2
"""Weight of the newest measurement: follows a growing context within some steps, ignores a single slow one."""

FIRST_CHUNK = 32
"""Tokens of a prompt between running decodes as long as nothing is known: hardly felt, and enough to learn from."""


class Pace:
    """Learns the cost of decode steps and of prompt tokens; times are nanoseconds."""

    def __init__(self, max_gap: float, max_chunk: int) -> None:
        self._max_gap = max_gap
        self._max_chunk = max_chunk
        self._decode_steps: dict[int, float] = {}  # by the number of streams, rounded down to a power of two
        self._prompt_tokens: dict[int, float] = {}  # for one token of a chunk, by its size, rounded down likewise
        self._streams = 1  # of the last decode

    def chunk(self, prompts: int) -> int:
        """Prompt tokens to compute between two decodes while `prompts` wait to be computed. The more prompts wait, the
        longer the streams do: a crowd is served faster together than one by one. At least one: who waits gets on."""
        time = self._time(max(1.0, prompts / 2))
        if not time or not self._prompt_tokens:
            return min(FIRST_CHUNK, self._max_chunk)
        size = bucket(self._max_chunk)
        while size > 1 and self._prompt_token(size) * size > time:
            size //= 2
        return max(min(int(time / self._prompt_token(size)), 2 * size - 1, self._max_chunk), 1)

    def affordable(self, token_cost: float) -> int:
        """How many tokens of that cost (0 = unknown) a stream may wait for between two decodes."""
        time = self._time(1.0)
        if not time or not token_cost:
            return min(FIRST_CHUNK, self._max_chunk)
        return int(min(max(time / token_cost, 1), self._max_chunk))

    def observe_decode(self, elapsed: int, streams: int) -> None:
        """Takes the time of a step that gave each of `streams` one token."""
        self._streams = streams
        known = bucket(streams)
        self._decode_steps[known] = smooth(self._decode_steps.get(known, 0.0), elapsed)

    def observe_prompts(self, elapsed: int, tokens: int) -> None:
        """Takes the time of a step that computed so many prompt tokens. A token's cost grows with what is before it,
        in chunks of any size."""
        size, cost = bucket(tokens), elapsed / tokens
        old = self._prompt_tokens.get(size, 0.0)
        self._prompt_tokens[size] = new = smooth(old, cost)
        for other in self._prompt_tokens.keys() - {size} if old else ():
            self._prompt_tokens[other] *= new / old

    def _time(self, patience: float) -> float:
        """What streams may wait beside their own decode step, in a gap of `patience` times the longest."""
        return (self._max_gap * patience - 1) * self._decode_step()

    def _decode_step(self) -> float:
        """The time of a step of as many streams as ran last, 0 = unknown. Where none was measured: that of fewer in
        proportion, which is an upper bound, else that of the next more."""
        streams = bucket(self._streams)
        fewer = [known for known in self._decode_steps if known <= streams]
        if fewer:
            nearest = max(fewer)
            return self._decode_steps[nearest] * streams / nearest
        return self._decode_steps[min(self._decode_steps)] if self._decode_steps else 0.0

    def _prompt_token(self, size: int) -> float:
        """The cost of a token in a chunk of that size, or of the most similar size that was measured."""
        nearest = min(self._prompt_tokens, key=lambda known: (max(known, size) / min(known, size), known))
        return self._prompt_tokens[nearest]


def bucket(rows: int) -> int:
    """The power of two that similar numbers share."""
    return 1 << max(rows.bit_length() - 1, 0)


def smooth(average: float, value: float) -> float:
    """A running average with one more value; 0 = none yet."""
    return value if not average else average + SMOOTHING * (value - average)
