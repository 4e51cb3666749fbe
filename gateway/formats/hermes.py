"""Jinja models that call as Hermes, Qwen and many others: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from gateway.errors import internal
from gateway.formats.call_parser import CallParser, new_call
from gateway.formats.chat_format import Tools
from gateway.formats.jinja_template import JinjaTemplateFormat
from gateway.formats.json_objects import decoded_object
from gateway.formats.tag_search import TagSearch
from gateway.generation.request import ToolCall
from gateway.grammar.lark import SPACE, LarkWriter
from remuda.v1.store_pb2 import Bundle

OPENING, CLOSING = "<tool_call>", "</tool_call>"
OTHER_SYNTAXES = ("<function=", "<arg_key>")
"""Templates of Qwen3-Coder and GLM, which write something else than JSON between the same tags."""

_NAME = re.compile(r'"name"\s*:\s*"([^"]*)"')


@dataclass(frozen=True, slots=True)
class HermesFormat(JinjaTemplateFormat):
    """A Jinja template that shows calls as JSON between tags."""

    reads_calls: ClassVar[bool] = True

    @classmethod
    def matches(cls, bundle: Bundle) -> bool:
        text = bundle.chat_template.text
        has_syntax = OPENING in text and not any(mark in text for mark in OTHER_SYNTAXES)
        return JinjaTemplateFormat.matches(bundle) and has_syntax

    def call_parser(self, tools: Tools) -> CallParser:
        del tools
        return HermesCalls()

    def call_grammar(self, lark: LarkWriter, tools: Tools) -> str:
        del tools
        return f"({lark.tag(OPENING)} {lark.through(CLOSING)} {SPACE})+"


class HermesCalls:
    """Content streams through. Calls wait for the end of the reply, where Ollama returns those of Jinja models. White
    space around a call is dropped."""

    def __init__(self) -> None:
        self._opening = TagSearch(OPENING, drops_space=True)
        self._closing = TagSearch(CLOSING)
        self._is_inside = False
        self._follows_call = False  # nothing but white space since the last call
        self._call: list[str] = []  # its text so far
        self._calls: list[ToolCall] = []

    def feed(self, text: str) -> tuple[str, list[ToolCall]]:
        content: list[str] = []
        end: int | None = 0
        while end is not None:
            end = self._read_call(text, end) if self._is_inside else self._read_content(text, end, content)
        return "".join(content), []

    def end(self) -> tuple[str, list[ToolCall]]:
        if self._is_inside:  # the model ended its turn without the closing tag, or was cut off
            self._call.append(self._closing.end())
            self._add_call()
        held = self._opening.end()
        held = held.lstrip() if self._follows_call else held
        return ("" if self._calls and not held.strip() else held), self._calls

    def _read_content(self, text: str, start: int, content: list[str]) -> int | None:
        """Reads up to the opening tag. Returns where it ends, None while it has not come."""
        piece, end = self._opening.feed(text, start)
        if self._follows_call:
            piece = piece.lstrip()
        if piece:
            self._follows_call = False
            content.append(piece)
        self._is_inside = end is not None
        return end

    def _read_call(self, text: str, start: int) -> int | None:
        """Reads up to the closing tag. Returns where it ends, None while it has not come."""
        piece, end = self._closing.feed(text, start)
        self._call.append(piece)
        if end is not None:
            self._add_call()
            self._is_inside, self._follows_call = False, True
        return end

    def _add_call(self) -> None:
        text, self._call = "".join(self._call), []
        call = _read_call(text)
        if call is None:
            match = _NAME.search(text)
            name = match[1] if match else ""
            raise internal(f'the model returned invalid tool call arguments for "{name}"')
        self._calls.append(new_call(len(self._calls), *call))


def _read_call(text: str) -> tuple[str, dict[str, Any]] | None:
    fields = decoded_object(text)
    if fields is None:
        return None
    name, arguments = fields.get("name"), fields.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return name, cast("dict[str, Any]", arguments)
