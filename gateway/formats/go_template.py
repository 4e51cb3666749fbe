"""Models with a Go template, which tells their tags. Calls are a tag, then tools' names and JSON objects, as in Ollama
(http-api 13.4).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from gateway.formats.call_parser import CallParser, new_call, tool_names
from gateway.formats.chat_format import ChatFormat, Tools
from gateway.formats.held_text import overlap
from gateway.generation.request import Generation, ToolCall
from gateway.grammar.lark import LarkWriter
from gateway.grammar.rules import Rules, json_rules
from gateway.prompt.conversation import Conversation, go_variables_of
from gateway.prompt.templates.go_syntax import GoSyntax, Tags, parse_go
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.legacy import render_legacy
from gateway.prompt.templates.renderer import TemplateRenderer
from remuda.v1.store_pb2 import TEMPLATE_LANGUAGE_GO, Bundle

ARGUMENT_KEYS = ("arguments", "parameters")
"""Where a call's JSON object has the arguments: Go templates use either name."""

_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class GoTemplateFormat(ChatFormat):
    """Any Go template. All methods that look into it raise GatewayError where it does not parse."""

    reads_calls: ClassVar[bool] = True

    @property
    def syntax(self) -> GoSyntax:
        return parse_go(self.template)

    @classmethod
    def matches(cls, bundle: Bundle) -> bool:
        return bundle.chat_template.language == TEMPLATE_LANGUAGE_GO

    async def render(self, renderer: TemplateRenderer, conversation: Conversation) -> str:
        syntax = self.syntax
        if not syntax.uses("Messages"):
            return await render_legacy(renderer, syntax, conversation.messages, conversation.think)
        return await renderer.render(Language.GO, syntax.source, go_variables_of(conversation))

    def thinking_tags(self) -> Tags | None:
        return self.syntax.thinking_tags()

    def separates_thoughts(self, generation: Generation, think: bool | str | None) -> bool:
        del generation
        return bool(think)

    def call_parser(self, tools: Tools) -> CallParser:
        return GoTemplateCalls(self.syntax.tool_tag(), tool_names(tools))

    def call_grammar(self, lark: LarkWriter, tools: Tools) -> str:
        match self.syntax.tool_tag():
            case "{":
                return lark.embed("call", _call_rules(tools))
            case "[":
                call = lark.embed("call", _call_rules(tools))
                return f'"[" {call} (", " {call})* "]"'
            case tag:
                return f"{lark.tag(tag)} {lark.anything()}"


def _call_rules(tools: Tools) -> Rules:
    """A call without a tag before it."""
    names = tool_names(tools)
    return json_rules({"anyOf": [_call_schema(names, key) for key in ARGUMENT_KEYS]})


def _call_schema(names: list[str], argument_key: str) -> dict[str, Any]:
    fields = {"name": {"enum": names}, argument_key: {"type": "object"}}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


class GoTemplateCalls:
    """Content before the tag streams through. After it only calls count, unless the tag is a mere bracket."""

    def __init__(self, tag: str, names: Iterable[str]) -> None:
        self._tag = tag
        self._names = sorted(names, key=len, reverse=True)
        self._is_bracket = tag in ("{", "[")
        self._held = ""
        self._calling = False
        self._disabled = False
        self._count = 0

    def feed(self, text: str) -> tuple[str, list[ToolCall]]:
        if self._disabled:
            return text, []
        self._held += text
        content = "" if self._calling else self._before_tag()
        return content, list(self._find_calls()) if self._calling else []

    def end(self) -> tuple[str, list[ToolCall]]:
        held, self._held = self._held, ""
        lost = self._calling and (not self._is_bracket or self._count)
        return ("" if lost else held), []

    def _before_tag(self) -> str:
        before, tag, rest = self._held.partition(self._tag)
        if self._is_bracket and before.strip():
            self._disabled = True
            held, self._held = self._held, ""
            return held
        if tag:
            self._calling = True
            self._held = tag + rest if self._is_bracket else rest
            return "" if self._is_bracket else before
        visible = 0 if self._is_bracket else len(before) - overlap(before, self._tag)
        self._held = before[visible:]
        return before[:visible]

    def _find_calls(self) -> Iterator[ToolCall]:
        while (name := self._next_name()) and (first := _first_object(self._held)):
            value, end = first
            self._held = self._held[end:]
            arguments = _arguments(value, name)
            if arguments is not None:
                yield new_call(self._count, name, arguments)
                self._count += 1

    def _next_name(self) -> str | None:
        """The tool's name that comes first in the text; the longest, if several begin there."""
        places = [(place, -len(name), name) for name in self._names if (place := self._held.find(name)) >= 0]
        if not places:
            return None
        place, _, name = min(places)
        tail = self._held[place:]
        may_grow = any(len(other) > len(tail) and other.startswith(tail) for other in self._names)
        return None if may_grow else name


def _first_object(text: str) -> tuple[dict[str, Any], int] | None:
    """The first JSON object and where it ends; None while there is no whole one."""
    start = text.find("{")
    while start >= 0:
        try:
            value, end = _DECODER.raw_decode(text, start)
            return cast("dict[str, Any]", value), end
        except (json.JSONDecodeError, RecursionError):
            start = text.find("{", start + 1)
    return None


def _arguments(value: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The arguments of a call of tool `name`. An object that names no tool is itself the arguments."""
    call = _named_object(value)
    if call is None:
        inner = value.get(name)
        return cast("dict[str, Any]", inner) if isinstance(inner, dict) else value
    for key in ARGUMENT_KEYS:
        arguments = call.get(key)
        if isinstance(arguments, str):
            arguments = _decoded(arguments)
        if isinstance(arguments, dict):
            return cast("dict[str, Any]", arguments)
    return None


def _named_object(value: Any) -> dict[str, Any] | None:
    """The object itself or one inside it that has a `name` and arguments."""
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    if isinstance(fields.get("name"), str) and any(key in fields for key in ARGUMENT_KEYS):
        return fields
    return next((call for inner in fields.values() if (call := _named_object(inner))), None)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None
