"""The events of a generation, for every surface: pieces of the reply, then its end."""

from dataclasses import dataclass, field

from gateway.generation.request import ToolCall


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that could have come."""

    token: str
    """Its text, with replacement characters where its bytes are no text."""
    piece: bytes
    logprob: float
    """Natural logarithm, before penalties, grammar and filters, at temperature 1."""


@dataclass(frozen=True, slots=True)
class TokenLogprob(Alternative):
    """A token that came."""

    top: tuple[Alternative, ...] = ()
    """The likeliest tokens in its place, best first."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the reply. With log-probabilities or tokens, its texts may all be empty."""

    content: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    tokens: tuple[int, ...] = ()
    """The ids generated since the last piece, where the request wants them. Their text may come later. That of a stop
    string or an end-of-generation token never comes."""
    choice: int = 0
    """Index of its generation among those of one request."""


@dataclass(frozen=True, slots=True)
class Done:
    """The end of the reply, always its last event. Durations are nanoseconds; 0 = not reported."""

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
    """Calls that only the end reveals, as with models that call through their Jinja template."""
    context: tuple[int, ...] | None = None
    rendered: str | None = None
    """The prompt, where the client wanted nothing else (`_debug_render_only`)."""
    rendered_images: int = 0
    """Number of images in the rendered prompt."""
    choice: int = 0
    """Index of its generation among those of one request."""

    @property
    def is_immediate(self) -> bool:
        """Whether nothing was generated: the request loaded or unloaded the model, or only rendered its prompt."""
        return self.rendered is not None or self.reason in ("load", "unload")


Event = Delta | Done


@dataclass(slots=True)
class WholeReply:
    """All events of a generation joined, for replies that are not streamed."""

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
        logprobs = [logprob for delta in deltas for logprob in delta.logprobs]
        return cls(done, content, thinking, calls, logprobs, [token for delta in deltas for token in delta.tokens])
