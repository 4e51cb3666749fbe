"""What a generation yields, for every surface: pieces of the reply, then its end."""

from dataclasses import dataclass, field

from gateway.generation.request import ToolCall


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that could have come. `token` is its text, with replacement characters where its bytes are none."""

    token: str
    piece: bytes
    logprob: float
    """Natural logarithm, before penalties, grammar and filters, at temperature 1."""


@dataclass(frozen=True, slots=True)
class TokenLogprob(Alternative):
    """A token that came, and the likeliest ones in its place, best first."""

    top: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the reply, as soon as it is there. With log-probabilities or tokens, the texts may all be empty."""

    content: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    tokens: tuple[int, ...] = ()
    """What was generated since the last piece, where it was asked for. Their text may come later, or, as that of a
    stop string or an end-of-generation token, never."""
    choice: int = 0
    """Which of the generations of one request it belongs to."""


@dataclass(frozen=True, slots=True)
class Done:
    """The end of the reply: always its last event. Durations are nanoseconds; zero = not told."""

    reason: str
    """"stop", "length", "load" or "unload"."""
    total_ns: int = 0
    load_ns: int = 0
    prompt_eval_count: int = 0
    prompt_eval_ns: int = 0
    eval_count: int = 0
    eval_ns: int = 0
    cached_tokens: int = 0
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls that are known only at the end (models that call through their Jinja template)."""
    context: tuple[int, ...] | None = None
    rendered: str | None = None
    """The prompt, where the client asked for nothing else (`_debug_render_only`)."""
    rendered_images: int = 0
    """How many images belong to it."""
    choice: int = 0
    """Which of the generations of one request has ended."""

    @property
    def is_immediate(self) -> bool:
        """Whether nothing was generated: the model was loaded or unloaded, or the prompt only rendered."""
        return self.rendered is not None or self.reason in ("load", "unload")


Event = Delta | Done


@dataclass(slots=True)
class WholeReply:
    """All events of a generation in one, for replies that are not streamed."""

    done: Done
    content: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])
    logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])
    tokens: list[int] = field(default_factory=list[int])

    @classmethod
    def collect(cls, events: list[Event]) -> "WholeReply":
        """Joins events whose last one is a `Done`."""
        deltas = [event for event in events if isinstance(event, Delta)]
        done = events[-1]
        assert isinstance(done, Done)
        calls = [call for delta in deltas for call in delta.tool_calls] + list(done.tool_calls)
        content, thinking = "".join(d.content for d in deltas), "".join(d.thinking for d in deltas)
        logprobs = [one for delta in deltas for one in delta.logprobs]
        return cls(done, content, thinking, calls, logprobs, [token for delta in deltas for token in delta.tokens])
