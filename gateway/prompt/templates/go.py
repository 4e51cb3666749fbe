"""Renders Go templates by gotpl, with Ollama's functions and missing-key rule. Runs only in the template process."""

import datetime
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

import gotpl

from gateway.golang.json import encode
from gateway.prompt.templates.jinja import TemplateRenderError

MAX_ITERATIONS = 10_000_000
MAX_DEPTH = 100

_SIMPLE_TYPES = {"string": "string", "boolean": "boolean", "number": "number", "integer": "number", "null": "null"}


class Struct:
    """A Go struct. Templates read `fields` by their Go names; it prints as `source`, its JSON."""

    def __init__(self, source: Any, fields: Mapping[str, Any]) -> None:
        self.source = source
        self._fields = fields

    def __gotemplate_lookup__(self, field: str) -> Any:
        return self._fields[field]

    def __str__(self) -> str:
        return go_json(self)


class PrintedMap(gotpl.GoSeq2[str, Any]):
    """A Go map: it iterates in sorted order and prints as JSON."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        super().__init__(sorted(entries.items()))

    @property
    def entries(self) -> dict[str, Any]:
        return dict(self.values)

    def __gotemplate_lookup__(self, field: str) -> Any:
        return self.entries[field]

    def __len__(self) -> int:
        return len(self.entries)

    def __str__(self) -> str:
        return go_json(self)


class PrintedList:
    """A Go slice that prints as JSON. It is never empty, as gotpl takes only an empty list for false."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items = list(items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]

    def __str__(self) -> str:
        return go_json(self)


def render_go(source: str, variables: Mapping[str, Any], cache_size: int) -> str:
    """The template's text. Raises TemplateRenderError."""
    try:
        return _compiler(cache_size)(source).render(variables)
    except (gotpl.TemplateError, TypeError, ValueError, LookupError, RecursionError, ArithmeticError) as error:
        raise TemplateRenderError(str(error)) from None


def go_json(value: Any) -> str:
    """JSON as Go's encoder writes it: compact, with HTML escapes, maps sorted, structs in the order of their fields."""
    return encode(_plain(value)).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return _with_sorted_maps(value.source)
    if isinstance(value, PrintedMap):
        return _plain(value.entries)
    if isinstance(value, PrintedList):
        return _plain(value.items)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value)
        return {key: _plain(items[key]) for key in sorted(items)}
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value


def _with_sorted_maps(value: Any, is_map: bool = False) -> Any:
    """Sorts the maps (properties, arguments) in the JSON of a tool or call. Structs keep their order."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value)
        keys = sorted(items) if is_map else list(items)
        return {key: _with_sorted_maps(items[key], not is_map and key in ("properties", "arguments")) for key in keys}
    return value


@lru_cache(maxsize=1)
def _compiler(cache_size: int) -> Any:
    environment = gotpl.Environment(
        missing_key="zero",
        functions={
            "json": go_json,
            "currentDate": lambda *_: _date(0),
            "yesterdayDate": lambda *_: _date(1),
            "toTypeScriptType": type_script_type,
        },
        budget=gotpl.ExecutionBudget(max_iterations=MAX_ITERATIONS, max_template_depth=MAX_DEPTH),
    )
    return lru_cache(maxsize=cache_size)(environment.from_string)


def _date(days_ago: int) -> str:
    return (datetime.date.today() - datetime.timedelta(days=days_ago)).isoformat()  # noqa: DTZ011 (local, as Ollama)


def type_script_type(schema: Struct) -> str:
    """The TypeScript type of a tool's property."""
    source = cast("Mapping[str, Any]", schema.source)
    return _type_script_of(source)


def _type_script_of(schema: Mapping[str, Any]) -> str:
    if choices := schema.get("anyOf"):
        return " | ".join(map(_type_script_of, choices))
    kinds = cast("list[str] | str", schema.get("type") or [])
    names = [kinds] if isinstance(kinds, str) else kinds
    return " | ".join(map(_type_script_name, names)) if names else "any"


def _type_script_name(kind: str) -> str:
    if kind == "array":
        return "any[]"
    return "Record<string, any>" if kind == "object" else _SIMPLE_TYPES.get(kind, "any")
