"""A request to generate, as every surface states it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Kind(Enum):
    """The kind of a request. The value is the verb of Ollama's error texts."""

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
    """One request, as every surface states it. What is unset leaves the model's own settings."""

    kind: Kind
    model: str
    """The name as the client wrote it; replies and error texts repeat it."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Options as the client sent them; `gateway.generation.options` checks and merges them."""
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
    """Kind.CHAT: tool definitions in the native form (`gateway.http.tools` normalises them)."""

    prompt: str = ""
    """Kind.GENERATE: the prompt; empty = load or unload the model."""
    prompt_tokens: tuple[int, ...] = ()
    """Kind.GENERATE: the prompt as token ids in place of `prompt`; comes with `raw`."""
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
    """Kind.GENERATE: whether the reply has its token ids; beyond Ollama."""
    images: tuple[bytes, ...] = ()
