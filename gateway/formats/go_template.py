"""Models with a Go template, which tells their tags. Calls are a tag, then tools' names and JSON objects, as in Ollama
(http-api 13.4).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, cast

from gateway.formats.call_parser import CallParser, new_call, tool_names
from gateway.formats.chat_format import ChatFormat, Tools
from gateway.formats.json_objects import ObjectSearch, decoded_object
from gateway.formats.name_search import NameSearch
from gateway.formats.tag_search import TagSearch
from gateway.generation.request import Generation, ToolCall
from gateway.grammar.lark import LarkWriter
from gateway.grammar.rules import Rules, json_rules
from gateway.prompt.conversation import Conversation, go_variables_of
from gateway.prompt.templates.go_syntax import GoSyntax, Tags, syntax_of_model
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.legacy import render_legacy
from gateway.prompt.templates.renderer import TemplateRenderer
from remuda.v1.store_pb2 import TEMPLATE_LANGUAGE_GO, Bundle

ARGUMENT_KEYS = ("arguments", "parameters")
"""Where a call's JSON object has the arguments: Go templates use either name."""

BRACKETS = ("{", "[")
"""Tags of templates that show none: the calls themselves begin with them."""


@dataclass(frozen=True, slots=True)
class GoTemplateFormat(ChatFormat):
    """Any Go template. All methods that look into it raise GatewayError where it does not parse."""

    parsed: GoSyntax | None = None
    """A request's own template, parsed; None = `template` is a model's."""

    reads_calls: ClassVar[bool] = True

    @property
    def syntax(self) -> GoSyntax:
        return self.parsed or syntax_of_model(self.template)

    @classmethod
    def matches(cls, bundle: Bundle) -> bool:
        return bundle.chat_template.language == TEMPLATE_LANGUAGE_GO

    async def render(self, renderer: TemplateRenderer, conversation: Conversation) -> str:
        syntax = self.syntax
        if not syntax.uses("Messages"):
            return await render_legacy(renderer, syntax, conversation.messages, conversation.think)
        return await renderer.render(Language.GO, syntax.source, lambda: go_variables_of(conversation))

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


class _State(Enum):
    BEFORE = auto()  # the tag has not come
    CALLING = auto()
    CONTENT = auto()  # to the end


class GoTemplateCalls:
    """Content before the tag streams through. After it only calls count, unless the tag is a mere bracket."""

    def __init__(self, tag: str, names: Iterable[str]) -> None:
        self._tag = tag
        self._is_bracket = tag in BRACKETS
        self._before = TagSearch(tag)
        self._names = NameSearch(names)
        self._objects = ObjectSearch()
        self._held: list[str] = []  # what is content after all unless there is a call
        self._state = _State.BEFORE
        self._count = 0

    def feed(self, text: str) -> tuple[str, list[ToolCall]]:
        content = ""
        if self._state is _State.BEFORE:
            content, text = self._find_bracket(text) if self._is_bracket else self._find_tag(text)
        if self._state is not _State.CALLING:
            return content + text, []
        calls = list(self._find_calls(text))
        if self._is_bracket and not self._count:
            self._held.append(text)
        return content, calls

    def end(self) -> tuple[str, list[ToolCall]]:
        return ("" if self._count else "".join((*self._held, self._before.end()))), []

    def _find_tag(self, text: str) -> tuple[str, str]:
        """Returns the content, and the text after the tag."""
        content, end = self._before.feed(text)
        if end is None:
            return content, ""
        self._state = _State.CALLING
        return content, text[end:]

    def _find_bracket(self, text: str) -> tuple[str, str]:
        """Returns the content, and the text from the bracket on. Anything but white space before it is content to the
        end."""
        rest = text.lstrip()
        if not rest:
            self._held.append(text)
            return "", ""
        held, self._held = self._held, []
        if rest.startswith(self._tag):
            self._state = _State.CALLING
            return "", rest
        self._state = _State.CONTENT
        return "".join(held), text

    def _find_calls(self, text: str) -> Iterator[ToolCall]:
        """Reads a name and an object for each call, whichever comes first."""
        end = 0
        while True:
            name_end, object_end = self._names.feed(text, end), self._objects.feed(text, end)
            if name_end is None or object_end is None:
                return
            end = max(name_end, object_end)
            name = self._names.take()
            arguments = _arguments(self._objects.take(), name)
            if arguments is not None:
                yield new_call(self._count, name, arguments)
                self._count += 1


def _arguments(value: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The arguments of a call of tool `name`. An object that names no tool is itself the arguments."""
    call = _named_object(value)
    if call is None:
        inner = value.get(name)
        return cast("dict[str, Any]", inner) if isinstance(inner, dict) else value
    for key in ARGUMENT_KEYS:
        arguments = call.get(key)
        if isinstance(arguments, str):
            arguments = decoded_object(arguments)
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
