"""JSON objects in what a model writes: found while the text streams, decoded once they are whole."""

import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, cast

import orjson

MAX_DEPTH = 200
"""Levels of a decoded object. Real calls have a handful. orjson writes 254, some of which a reply has around a call."""


def decoded_object(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` is; None for anything else, and for an object of more than `MAX_DEPTH` levels."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) and not _is_deep(value) else None


def _is_deep(value: Any) -> bool:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list) else ()


class _State(Enum):
    OUTSIDE = auto()
    OPENED = auto()  # nothing but white space after the first brace
    INSIDE = auto()
    STRING = auto()
    ESCAPE = auto()


_NEXT = {
    _State.OUTSIDE: re.compile(r"\{"),
    _State.OPENED: re.compile(r"[^ \t\r\n]"),
    _State.INSIDE: re.compile(r'["{}]'),
    _State.STRING: re.compile(r'["\\]'),
    _State.ESCAPE: re.compile(r".", re.DOTALL),
}
"""The next character that matters in each state."""


class ObjectSearch:
    """Finds the first JSON object. A brace opens one only before a name or its closing brace, as in `{{"a": 1}}`."""

    def __init__(self) -> None:
        self._state = _State.OUTSIDE
        self._depth = 0  # open braces
        self._pieces: list[str] = []  # of the object that has begun
        self._object: dict[str, Any] | None = None

    def feed(self, text: str, start: int) -> int | None:
        """Takes `text` from `start` on. Returns where the object ends, which is `start` if it had ended before; None
        while there is no whole one."""
        if self._object is not None:
            return start
        begin = end = start
        while character := _NEXT[self._state].search(text, end):
            end = character.end()
            self._read(character[0])
            if self._state is _State.OPENED:
                self._pieces, begin = [], character.start()
            elif self._state is _State.OUTSIDE:
                self._object = self._decode(text[begin:end])
                if self._object is not None:
                    return end
        if self._state is not _State.OUTSIDE:
            self._pieces.append(text[begin:])
        return None

    def take(self) -> dict[str, Any]:
        """Returns the object and begins a new search."""
        found, self._object = self._object, None
        assert found is not None
        return found

    def _read(self, character: str) -> None:
        match self._state, character:
            case (_State.OUTSIDE, _) | (_State.OPENED, "{"):
                self._state, self._depth = _State.OPENED, 1
            case (_State.OPENED | _State.INSIDE, '"') | (_State.ESCAPE, _):
                self._state = _State.STRING
            case (_State.OPENED | _State.INSIDE, "}"):
                self._depth -= 1
                self._state = _State.INSIDE if self._depth else _State.OUTSIDE
            case _State.INSIDE, _:
                self._depth += 1
            case _State.STRING, _:
                self._state = _State.INSIDE if character == '"' else _State.ESCAPE
            case _:
                self._state = _State.OUTSIDE

    def _decode(self, last: str) -> dict[str, Any] | None:
        text, self._pieces = "".join((*self._pieces, last)), []
        return decoded_object(text)
