"""How a reply is put together: which marks set off its thoughts, and how its tool calls are written."""

from dataclasses import dataclass

from gateway.formats.calls import CallParser
from gateway.formats.chat_format import Language
from gateway.formats.go_calls import GenericCalls
from gateway.formats.hermes import HermesCalls
from gateway.formats.reply_parser import ReplyParser
from gateway.formats.thinking import ThinkingSplitter
from gateway.generation.request import Kind
from gateway.prompt.builder import Prompt, ResolvedRequest
from gateway.prompt.templates.go_syntax import Tags


@dataclass(frozen=True, slots=True)
class Thoughts:
    """Thoughts between `tags`. `inside`: the prompt ended with the opening one."""

    tags: Tags
    inside: bool


def thoughts_of(resolved: ResolvedRequest, prompt: Prompt) -> Thoughts | None:
    """Where the reply's thoughts are. A Jinja model's stay in the text of `/api/generate`, as in Ollama."""
    generation, chat_format = resolved.generation, resolved.format
    is_jinja = chat_format.language is Language.JINJA
    if generation.raw or (is_jinja and generation.kind is Kind.GENERATE):
        return None
    tags = chat_format.thinking_tags() if is_jinja or resolved.think else None
    return Thoughts(tags, prompt.text.rstrip().endswith(tags.opening)) if tags else None


def reply_parser(resolved: ResolvedRequest, prompt: Prompt) -> ReplyParser:
    """How this reply is read."""
    thoughts = thoughts_of(resolved, prompt)
    splitter = ThinkingSplitter(thoughts.tags, inside=thoughts.inside) if thoughts else None
    return ReplyParser(splitter, _call_parser(resolved))


def _call_parser(resolved: ResolvedRequest) -> CallParser | None:
    if not resolved.generation.tools:
        return None
    if resolved.format.language is Language.JINJA:
        return HermesCalls()
    return GenericCalls(resolved.format.syntax.tool_tag(), tool_names(resolved))


def tool_names(resolved: ResolvedRequest) -> list[str]:
    """The names of the request's tools."""
    return [tool["function"]["name"] for tool in resolved.generation.tools]
