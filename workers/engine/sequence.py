"""One request inside the engine: its tokens, how many are computed, and how it ends."""

import sys
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from workers.engine.drafting.state import DraftState
from workers.engine.grammar import Constraint
from workers.engine.media import MediaPrompt, MediaSpan, Positions, Segment
from workers.engine.sampling.draw import Draw
from workers.engine.sampling.mirostat import Mirostat
from workers.engine.sampling.params import SamplingParams
from workers.engine.text import TextStream


class SequenceKey(NamedTuple):
    """The request and the number of its attempt."""

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
    """One request. A negative token stands for a cell of an image or a sound."""

    key: SequenceKey
    gateway: str
    prompt: list[int]
    sampling: SamplingParams
    num_predict: int  # negative = until the context is full
    num_ctx: int = sys.maxsize  # tokens of prompt and output at most; no more than a slot holds, once it is queued
    num_keep: int = 0  # negative = the whole prompt
    shift: bool = False
    stop: tuple[str, ...] = ()
    grammar: str = ""  # llguidance's; empty = unconstrained
    optional_first_token: int | None = None  # the reply may begin with it only if the model ranks it first
    logprobs: int | None = None  # alternatives beside each token; None = no log-probabilities
    resumed: int = 0  # tokens at the prompt's end that an earlier attempt generated
    media: tuple[Segment, ...] = ()  # images and sounds before the prompt's tokens, each after its text
    adapters: tuple[str, ...] = ()  # files of the LoRA adapters to apply
    draft_tokens: int | None = None  # tokens drafted in a step at most; None = the engine's choice
    tokens: list[int] = field(init=False)  # prompt and output
    text: TextStream = field(init=False)
    mirostat: Mirostat | None = field(init=False)
    positions: Positions = field(default_factory=Positions)
    computed: int = 0  # tokens in the KV cache, from the first one on
    cached: int = 0  # prompt tokens that the KV cache held at the start
    generated: int = 0
    slot: int = -1
    draft: list[int] = field(default_factory=list[int])  # tokens that may come next, for the next step to verify
    drafting: DraftState = field(default_factory=DraftState)
    checkpoints: list[int] = field(default_factory=list[int])  # lengths at which the state is kept
    constraint: Constraint | None = None
    finish: FinishReason | None = None
    error: str = ""
    invalid: bool = False  # the request is at fault
    timings: Timings = field(default_factory=Timings)
    _unshifted: int = sys.maxsize

    def __post_init__(self) -> None:
        self.tokens = list(self.prompt)
        self.text = TextStream(self.stop)
        self.mirostat = Mirostat.of(self.sampling)

    @property
    def pending(self) -> int:
        """Tokens that are not in the KV cache yet. A decoding sequence has one: the last sampled token."""
        return len(self.tokens) - self.computed

    @property
    def reusable(self) -> list[int]:
        """The tokens whose cells others can use: computing these tokens anew would give the same cells."""
        return self.tokens[: min(self.computed, self._unshifted)]

    @property
    def decoding(self) -> bool:
        """Whether all tokens but the last sampled one are computed."""
        return self.generated > 0 and self.pending == 1

    @property
    def position(self) -> int:
        """llama.cpp's position of the first pending token."""
        return self.positions.of(self.computed)

    @property
    def span(self) -> MediaSpan | None:
        """The image or sound to compute next."""
        return self.positions.span_at(self.computed)

    @property
    def step_limit(self) -> int:
        """Pending tokens that one step can compute."""
        stops = [*self.checkpoints, *(span.start for span in self.positions.spans)]
        return min((stop for stop in stops if stop > self.computed), default=len(self.tokens)) - self.computed

    def set_prompt(self, prompt: MediaPrompt) -> None:
        """Sets the prompt of a request with media, after these are encoded."""
        self.prompt, self.tokens, self.positions = prompt.tokens, list(prompt.tokens), Positions(prompt.spans)
        self.shift = False  # positions and cells differ

    def draw(self, ahead: int = 0) -> Draw:
        """Returns how to pick the token after the first `ahead` tokens of the draft."""
        number = self.resumed + self.generated + ahead
        if ahead == 0 or not self.sampling.penalizes:
            return Draw(self.sampling, self.tokens, number, self.mirostat)
        look_back = self.sampling.repeat_last_n
        recent = self.tokens if look_back < 0 else self.tokens[-look_back:]
        return Draw(self.sampling, recent + self.draft[:ahead], number)

    def append(self, token: int) -> None:
        """Appends a sampled token."""
        now = time.monotonic_ns()
        if not self.generated:
            self.timings.first_token = now
        self.timings.last_token = now
        self.tokens.append(token)
        self.generated += 1
        if 0 <= self.num_predict <= self.generated + self.resumed:
            self.end(FinishReason.LENGTH)

    def take_back(self, count: int) -> None:
        """Removes the last `count` sampled tokens, which follow a stop string."""
        if count:
            del self.tokens[-count:]
            self.generated -= count
            self.computed = min(self.computed, len(self.tokens))

    def end(self, reason: FinishReason, error: str = "", *, invalid: bool = False) -> None:
        """Ends the sequence. The first end counts."""
        if self.finish is None:
            self.finish, self.error, self.invalid = reason, error, invalid

    def discard(self, start: int, end: int) -> None:
        """Removes computed tokens [start, end) for a context shift. Later cells attended to the removed tokens, so
        others cannot use them."""
        del self.tokens[start:end]
        self.computed -= end - start
        self._unshifted = min(self._unshifted, start)
        self.drafting.lookup.forget()
