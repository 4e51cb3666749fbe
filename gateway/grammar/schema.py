"""Closes the objects of JSON schemas, as llama.cpp does: an object that names its properties has no others."""

from typing import Any, TypeGuard, cast

COMPOSING = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "$ref"})
OPENING = frozenset({"additionalProperties", "patternProperties", "unevaluatedProperties"})
NAMED = ("properties", "$defs", "definitions")
"""Keywords whose values are schemas by name."""
ALTERNATIVES = ("anyOf", "oneOf", "allOf", "prefixItems")


def closed(schema: Any) -> Any:
    """The schema, with objects that name their properties closed: a small model would invent more of them endlessly.

    Objects that say themselves what else they may hold stay open. So do all objects of a composed schema, whose parts
    each know only some of the properties.
    """
    return schema if _is_composed(schema) else _closed(schema)


def _closed(schema: Any) -> Any:
    if not _is_object(schema):
        return schema
    result = dict(schema)
    for keyword in NAMED:
        if _is_object(named := schema.get(keyword)):
            result[keyword] = {name: _closed(inner) for name, inner in named.items()}
    for keyword in ALTERNATIVES:
        if isinstance(listed := schema.get(keyword), list):
            result[keyword] = [_closed(inner) for inner in cast("list[Any]", listed)]
    if "items" in schema:
        result["items"] = _closed(schema["items"])
    if "properties" in schema and not OPENING & schema.keys():
        result["additionalProperties"] = False
    return result


def _is_composed(value: Any) -> bool:
    """Whether an object names properties beside a keyword that may add others."""
    if isinstance(value, list):
        return any(map(_is_composed, cast("list[Any]", value)))
    if not _is_object(value):
        return False
    parts = value.get("allOf")
    joins = isinstance(parts, list) and len(cast("list[Any]", parts)) > 1
    return joins or ("properties" in value and bool(COMPOSING & value.keys())) or any(map(_is_composed, value.values()))


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
