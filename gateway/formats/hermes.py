"""Tool calls as `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, the syntax of Hermes, Qwen and many others."""

import re
from typing import Any, cast

import orjson

from gateway.errors import internal
from gateway.formats.calls import new_call
from gateway.formats.held_text import overlap
from gateway.generation.request import ToolCall

OPENING, CLOSING = "<tool_call>", "</tool_call>"

_NAME = re.compile(r'"name"\s*:\s*"([^"]*)"')


class HermesCalls:
    """Content streams through; calls are kept for the end of the reply, where Ollama's native mode tells them."""

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
        """The text that cannot be part of a tag, or of the white space before one."""
        if self._inside:
            return ""
        visible = len(self._held) - overlap(self._held, OPENING)
        visible = len(self._held[:visible].rstrip())
        content, self._held = self._held[:visible], self._held[visible:]
        return content

    def _add(self, text: str) -> None:
        call = _read_call(text)
        if call is None:
            name = _NAME.search(text)
            shown = name[1] if name else ""
            raise internal(f'the model returned invalid tool call arguments for "{shown}"')
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
