"""How much of a prompt to compute between two decodes, so that streams keep their rhythm on any device.

The sizes come from measured times: a stream waits `max_gap` plain decode steps at most. A fixed chunk would take
seconds on a CPU, or leave a fast GPU idle.
"""

SMOOTHING = 0.2
"""Weight of the newest measurement. It follows a growing context within some steps, and ignores a single slow one."""

FIRST_CHUNK = 32
"""Prompt tokens between two decodes before anything is measured: hardly felt, and enough to learn from."""


class Pace:
    """Learns the cost of decode steps and of prompt tokens; times are nanoseconds."""

    def __init__(self, max_gap: float, max_chunk: int) -> None:
        self._max_gap = max_gap
        self._max_chunk = max_chunk
        self._decode_steps: dict[int, float] = {}  # by the number of streams, rounded down to a power of two
        self._prompt_tokens: dict[int, float] = {}  # of one token, by the size of its chunk, rounded down likewise
        self._streams = 1  # of the last decode

    def chunk(self, prompts: int) -> int:
        """Returns the prompt tokens to compute between two decodes, one at least, while `prompts` wait.

        Streams wait longer while more prompts wait: a crowd is served faster together than one by one.
        """
        time = self._time(max(1.0, prompts / 2))
        if not time or not self._prompt_tokens:
            return min(FIRST_CHUNK, self._max_chunk)
        size = bucket(self._max_chunk)
        while size > 1 and self._prompt_token(size) * size > time:
            size //= 2
        return max(min(int(time / self._prompt_token(size)), 2 * size - 1, self._max_chunk), 1)

    def affordable(self, token_cost: float) -> int:
        """Returns how many tokens of that cost, in nanoseconds (0 = unknown), fit between two decodes."""
        time = self._time(1.0)
        if not time or not token_cost:
            return min(FIRST_CHUNK, self._max_chunk)
        return int(min(max(time / token_cost, 1), self._max_chunk))

    def observe_decode(self, elapsed: int, streams: int) -> None:
        """Learns from a step that gave each of `streams` one token."""
        self._streams = streams
        key = bucket(streams)
        self._decode_steps[key] = smooth(self._decode_steps.get(key, 0.0), elapsed)

    def observe_prompts(self, elapsed: int, tokens: int) -> None:
        """Learns from a step that computed so many prompt tokens. A token costs more late in a prompt: the costs in
        chunks of other sizes change in proportion."""
        size, cost = bucket(tokens), elapsed / tokens
        old = self._prompt_tokens.get(size, 0.0)
        self._prompt_tokens[size] = new = smooth(old, cost)
        for other in self._prompt_tokens.keys() - {size} if old else ():
            self._prompt_tokens[other] *= new / old

    def _time(self, patience: float) -> float:
        """The time left for prompts in a gap that may last `patience` times `max_gap` decode steps."""
        return (self._max_gap * patience - 1) * self._decode_step()

    def _decode_step(self) -> float:
        """The time of a decode step with the last number of streams, 0 = unknown.

        Without a measurement, that of fewer streams in proportion is an upper bound; else that of more streams serves.
        """
        streams = bucket(self._streams)
        fewer = [count for count in self._decode_steps if count <= streams]
        if fewer:
            nearest = max(fewer)
            return self._decode_steps[nearest] * streams / nearest
        return self._decode_steps[min(self._decode_steps)] if self._decode_steps else 0.0

    def _prompt_token(self, size: int) -> float:
        """The cost of a token in a chunk of the most similar measured size."""
        nearest = min(self._prompt_tokens, key=lambda other: (max(other, size) / min(other, size), other))
        return self._prompt_tokens[nearest]


def bucket(rows: int) -> int:
    """Rounds a number down to a power of two, which similar numbers share."""
    return 1 << max(rows.bit_length() - 1, 0)


def smooth(average: float, value: float) -> float:
    """Adds a value to a running average; an average of 0 has no values yet."""
    return value if not average else average + SMOOTHING * (value - average)
