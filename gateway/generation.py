"""The one internal request and its events. Every HTTP surface translates to a `Generation` and from these events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Kind(Enum):
    """What the client asked for; the value is the verb of Ollama's error texts."""

    GENERATE = "generate"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A whole call of a tool. `arguments` is a JSON object whose top-level order is the model's own."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `images` are the decoded files."""

    role: str
    content: str = ""
    thinking: str = ""
    images: tuple[bytes, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class Generation:
    """One request, as every surface states it. What is unset here has no say in the model's own settings."""

    kind: Kind
    model: str
    """The name as the client wrote it; replies and error texts repeat it."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Options as the client sent them; `gateway.options` checks and merges them."""
    keep_alive_ns: int | None = None
    """Negative = for ever; None = the replica's present value or the server's default."""
    think: bool | str | None = None
    """A string is one of the levels "low", "medium", "high", "max"."""
    format: Any = None
    """The `format` value as JSON gave it: None, "", "json" or a JSON schema; anything else is refused."""
    grammar: str = ""
    """A GBNF grammar for the answer, in llama-server's sense; beyond Ollama. Empty = none."""
    truncate: bool = True
    shift: bool = True
    logprobs: bool = False
    top_logprobs: int = 0
    debug_render_only: bool = False

    messages: tuple[Message, ...] = ()
    """Kind.CHAT: the conversation; empty = load or unload the model."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Kind.CHAT: tool definitions in the native form (`gateway.tools` normalises them)."""

    prompt: str = ""
    """Kind.GENERATE: the prompt; empty = load or unload the model."""
    prompt_tokens: tuple[int, ...] = ()
    """Kind.GENERATE: the prompt as token ids, in the place of `prompt`; goes with `raw`."""
    suffix: str = ""
    system: str | None = None
    """Kind.GENERATE: replaces the model's SYSTEM when it is given and not empty."""
    template: str | None = None
    """Kind.GENERATE: a Go template that replaces the model's."""
    context: tuple[int, ...] | None = None
    """Kind.GENERATE: token ids that an earlier reply returned."""
    raw: bool = False
    wants_context: bool = False
    """Kind.GENERATE: whether the reply returns its `context`."""
    wants_tokens: bool = False
    """Kind.GENERATE: whether the reply tells its token ids; beyond Ollama."""
    images: tuple[bytes, ...] = ()


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
class Reply:
    """All events of a generation in one, for replies that are not streamed."""

    done: Done
    content: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])
    logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])
    tokens: list[int] = field(default_factory=list[int])

    @classmethod
    def collect(cls, events: list[Event]) -> "Reply":
        """Joins events whose last one is a `Done`."""
        deltas = [event for event in events if isinstance(event, Delta)]
        done = events[-1]
        assert isinstance(done, Done)
        calls = [call for delta in deltas for call in delta.tool_calls] + list(done.tool_calls)
        content, thinking = "".join(d.content for d in deltas), "".join(d.thinking for d in deltas)
        logprobs = [one for delta in deltas for one in delta.logprobs]
        return cls(done, content, thinking, calls, logprobs, [token for delta in deltas for token in delta.tokens])
