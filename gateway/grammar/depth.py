"""How deeply a JSON schema is nested, followed through its references."""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

MAX_LEVELS = 1000
"""Levels that llguidance may follow a schema. It recurses with each and through references. Those that use the most of
a thread's stack, which is 8 MB, overflow it between 1,600 and 3,200."""
ROOT = "#"


def levels_of(schema: dict[str, Any]) -> int:
    """Returns a bound on the levels on any way through the schema that meets each reference once.

    Ways through definitions that refer to each other in circles are not told apart: all their levels count.
    """
    definitions = _definitions(schema)
    longest: dict[str, int] = {}
    try:
        for name in TopologicalSorter({name: each.references for name, each in definitions.items()}).static_order():
            below = (longest[inner] for inner in definitions[name].references)
            longest[name] = definitions[name].levels + max(below, default=0)
    except CycleError:
        return sum(each.levels for each in definitions.values())
    return max(longest.values())


@dataclass(frozen=True, slots=True)
class _Definition:
    """A schema that another one refers to."""

    levels: int
    references: frozenset[str]


def _definitions(schema: dict[str, Any]) -> dict[str, _Definition]:
    """The whole schema, and what its references name. A name that is no plain pointer may mean anything: all of it."""
    measured: dict[int, _Definition] = {}
    whole = _measure(schema, measured)
    targets = {name: _target(schema, name) for name in whole.references | {ROOT}}
    return {name: measured.get(id(target), whole) for name, target in targets.items()}


def _measure(value: Any, measured: dict[int, _Definition]) -> _Definition:
    parts = [_measure(inner, measured) for inner in _inside(value)]
    name = cast("dict[str, Any]", value).get("$ref") if isinstance(value, dict) else None
    own = frozenset((name,)) if isinstance(name, str) else frozenset[str]()
    levels = 1 + max((part.levels for part in parts), default=0)
    result = _Definition(levels, own.union(*(part.references for part in parts)))
    measured[id(cast(Any, value))] = result
    return result


def _inside(value: Any) -> list[Any]:
    inner = cast("dict[str, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
    return [each for each in inner if isinstance(each, dict | list)]


def _target(schema: dict[str, Any], reference: str) -> Any:
    """What a plain pointer names; None where there is nothing, or no plain pointer."""
    root, *keys = reference.split("/")
    value: Any = schema if root == ROOT else None
    for key in keys:
        value = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    return value
