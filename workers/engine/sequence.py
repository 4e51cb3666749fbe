"""One request inside the engine: its tokens, how far they are computed, and when it ends."""

import sys
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from workers.engine.grammar import Constraint
from workers.engine.logprobs import TokenLogprobs
from workers.engine.sampling.params import SamplingParams
from workers.engine.text import TextStream


class SequenceKey(NamedTuple):
    """The request and which try of it."""

    request_id: int
    attempt: int


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    ERROR = "error"


@dataclass(slots=True)
class Timings:
    """Monotonic nanoseconds; 0 = not yet."""

    prefill_began: int = 0
    first_token: int = 0
    last_token: int = 0

    @property
    def prefill_ns(self) -> int:
        return max(self.first_token - self.prefill_began, 0)

    @property
    def decode_ns(self) -> int:
        return max(self.last_token - self.first_token, 0)


@dataclass(slots=True, eq=False)
class Sequence:
    """`tokens` are prompt and output; the first `computed` of them are in the KV cache."""

    key: SequenceKey
    gateway: str
    prompt: list[int]
    sampling: SamplingParams
    num_predict: int  # negative = until the context is full
    num_keep: int = 0  # negative = the whole prompt
    shift: bool = False
    stop: tuple[str, ...] = ()
    grammar: str = ""  # llguidance's; empty = unconstrained
    logprobs: int | None = None  # alternatives told with each token; None = no log-probabilities
    resumed: int = 0  # tokens at the prompt's end that an earlier attempt generated
    tokens: list[int] = field(init=False)
    text: TextStream = field(init=False)
    computed: int = 0
    cached: int = 0  # prompt tokens that the KV cache held at the start
    generated: int = 0
    slot: int = -1
    constraint: Constraint | None = None
    told: TokenLogprobs | None = None  # about the token sampled last
    finish: FinishReason | None = None
    error: str = ""
    timings: Timings = field(default_factory=Timings)
    _unshifted: int = sys.maxsize

    def __post_init__(self) -> None:
        self.tokens = list(self.prompt)
        self.text = TextStream(self.stop)

    @property
    def pending(self) -> int:
        """Tokens that are not in the KV cache yet. A decoding sequence has one: the token sampled last."""
        return len(self.tokens) - self.computed

    @property
    def reusable(self) -> list[int]:
        """The tokens whose cells are what computing them anew would give."""
        return self.tokens[: min(self.computed, self._unshifted)]

    @property
    def decoding(self) -> bool:
        return self.generated > 0

    def append(self, token: int) -> None:
        """Takes a sampled token."""
        now = time.monotonic_ns()
        if not self.generated:
            self.timings.first_token = now
        self.timings.last_token = now
        self.tokens.append(token)
        self.generated += 1
        if 0 <= self.num_predict <= self.generated + self.resumed:
            self.end(FinishReason.LENGTH)

    def end(self, reason: FinishReason, error: str = "") -> None:
        """Ends the sequence, unless it has ended already."""
        if self.finish is None:
            self.finish, self.error = reason, error

    def discard(self, start: int, end: int) -> None:
        """Forgets computed tokens [start, end), as a context shift does. The cells of what follows were computed in
        the sight of the forgotten ones, so they are of no use to others."""
        del self.tokens[start:end]
        self.computed -= end - start
        self._unshifted = min(self._unshifted, start)
