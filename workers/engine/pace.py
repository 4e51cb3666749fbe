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
        self._decode_step = 0.0
        self._prompt_token = 0.0

    @property
    def chunk(self) -> int:
        """Prompt tokens for a step that decodes, too."""
        return self.affordable(self._prompt_token)

    def affordable(self, token_cost: float) -> int:
        """How many tokens of that cost (0 = unknown) a stream may wait for beside its own decode step."""
        if not self._decode_step or not token_cost:
            return self._max_chunk
        return int(min(max((self._max_gap - 1) * self._decode_step / token_cost, MIN_CHUNK), self._max_chunk))

    def observe(self, elapsed: int, *, decoded: int, prefilled: int) -> None:
        """Takes the time of a step that computed `decoded` decode rows and `prefilled` prompt tokens."""
        if not prefilled:
            self._decode_step = smooth(self._decode_step, elapsed)
        elif prefilled >= MIN_CHUNK:
            beside = self._decode_step if decoded else 0.0
            self._prompt_token = smooth(self._prompt_token, max(elapsed - beside, 0.0) / prefilled)


def smooth(average: float, value: float) -> float:
    """A running average with one more value; 0 = none yet."""
    return value if not average else average + SMOOTHING * (value - average)
