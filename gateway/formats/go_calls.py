"""Tool calls of Go-template models: a tag from the template, then names of known tools and JSON objects (13.4)."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from gateway.formats.calls import new_call
from gateway.formats.held_text import overlap
from gateway.generation.request import ToolCall

_DECODER = json.JSONDecoder()


class GenericCalls:
    """Content before the tag streams through; after it only calls count, save where the tag is a mere bracket."""

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
        while (name := self._next_name()) and (found := _first_object(self._held)):
            value, end = found
            self._held = self._held[end:]
            arguments = _arguments(value, name)
            if arguments is not None:
                yield new_call(self._count, name, arguments)
                self._count += 1

    def _next_name(self) -> str | None:
        """The known name that comes first; the longest, if several begin there."""
        places = [(place, -len(name), name) for name in self._names if (place := self._held.find(name)) >= 0]
        if not places:
            return None
        place, _, name = min(places)
        tail = self._held[place:]
        may_grow = any(len(other) > len(tail) and other.startswith(tail) for other in self._names)
        return None if may_grow else name


def _first_object(text: str) -> tuple[dict[str, Any], int] | None:
    start = text.find("{")
    while start >= 0:
        try:
            value, end = _DECODER.raw_decode(text, start)
            return cast("dict[str, Any]", value), end
        except (json.JSONDecodeError, RecursionError):
            start = text.find("{", start + 1)
    return None


def _arguments(value: dict[str, Any], name: str) -> dict[str, Any] | None:
    call = _named_object(value)
    if call is None:
        inner = value.get(name)
        return cast("dict[str, Any]", inner) if isinstance(inner, dict) else value
    for key in ("arguments", "parameters"):
        given = call.get(key)
        if isinstance(given, str):
            given = _decoded(given)
        if isinstance(given, dict):
            return cast("dict[str, Any]", given)
    return None


def _named_object(value: Any) -> dict[str, Any] | None:
    """The object itself or a nested one, if it has a `name`."""
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    if isinstance(fields.get("name"), str) and ("arguments" in fields or "parameters" in fields):
        return fields
    return next((found for inner in fields.values() if (found := _named_object(inner))), None)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None
