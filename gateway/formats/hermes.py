"""Jinja models that call as Hermes, Qwen and many others: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import orjson

from gateway.errors import internal
from gateway.formats.call_parser import CallParser, new_call
from gateway.formats.chat_format import Tools
from gateway.formats.held_text import overlap
from gateway.formats.jinja_template import JinjaTemplateFormat
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
    """Content streams through. Calls wait for the end of the reply, where Ollama returns those of Jinja models."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._calls: list[ToolCall] = []

    def feed(self, text: str) -> tuple[str, list[ToolCall]]:
        self._held += text
        content = ""
        while True:
            before, tag, rest = self._held.partition(CLOSING if self._inside else OPENING)
            if not tag:
                return content + self._release(), []
            if self._inside:
                self._add(before)
                rest = rest.lstrip()
            else:
                content += before.rstrip()
            self._held, self._inside = rest, not self._inside

    def end(self) -> tuple[str, list[ToolCall]]:
        held, self._held = self._held, ""
        if self._inside:  # the model ended its turn without the closing tag, or was cut off
            self._add(held)
            held = ""
        return ("" if self._calls and not held.strip() else held), self._calls

    def _release(self) -> str:
        """Takes the text that cannot belong to a tag or to the white space before one."""
        if self._inside:
            return ""
        visible = len(self._held) - overlap(self._held, OPENING)
        visible = len(self._held[:visible].rstrip())
        content, self._held = self._held[:visible], self._held[visible:]
        return content

    def _add(self, text: str) -> None:
        call = _read_call(text)
        if call is None:
            match = _NAME.search(text)
            name = match[1] if match else ""
            raise internal(f'the model returned invalid tool call arguments for "{name}"')
        self._calls.append(new_call(len(self._calls), *call))


def _read_call(text: str) -> tuple[str, dict[str, Any]] | None:
    try:
        call = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(call, dict):
        return None
    fields = cast("dict[str, Any]", call)
    name, arguments = fields.get("name"), fields.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return name, cast("dict[str, Any]", arguments)
