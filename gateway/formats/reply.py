"""How a reply is put together: which marks set off its thoughts, and how its tool calls are written."""

from dataclasses import dataclass

from gateway.formats.calls import CallParser
from gateway.formats.chat_format import Language
from gateway.formats.go_calls import GenericCalls
from gateway.formats.hermes import HermesCalls
from gateway.formats.reply_parser import ReplyParser
from gateway.formats.thinking import ThinkingSplitter
from gateway.generation.request import Kind
from gateway.prompt.builder import Draft, Prompt
from gateway.prompt.templates.go_syntax import Tags


@dataclass(frozen=True, slots=True)
class Thoughts:
    """Thoughts between `tags`. `inside`: the prompt ended with the opening one."""

    tags: Tags
    inside: bool


def thoughts_of(draft: Draft, prompt: Prompt) -> Thoughts | None:
    """Where the reply's thoughts are. A Jinja model's stay in the text of `/api/generate`, as in Ollama."""
    generation, chat_format = draft.generation, draft.format
    is_jinja = chat_format.language is Language.JINJA
    if generation.raw or (is_jinja and generation.kind is Kind.GENERATE):
        return None
    tags = chat_format.thinking_tags() if is_jinja or draft.think else None
    return Thoughts(tags, prompt.text.rstrip().endswith(tags.opening)) if tags else None


def reply_parser(draft: Draft, prompt: Prompt) -> ReplyParser:
    """How this reply is read."""
    thoughts = thoughts_of(draft, prompt)
    splitter = ThinkingSplitter(thoughts.tags, inside=thoughts.inside) if thoughts else None
    return ReplyParser(splitter, _call_parser(draft))


def _call_parser(draft: Draft) -> CallParser | None:
    if not draft.generation.tools:
        return None
    if draft.format.language is Language.JINJA:
        return HermesCalls()
    return GenericCalls(draft.format.syntax.tool_tag(), tool_names(draft))


def tool_names(draft: Draft) -> list[str]:
    """The names of the request's tools."""
    return [tool["function"]["name"] for tool in draft.generation.tools]
