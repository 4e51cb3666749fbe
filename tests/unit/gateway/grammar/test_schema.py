"""Which objects of a schema are closed."""

from typing import Any

import pytest

from gateway.grammar.schema import closed


def test_objects_that_name_their_properties_have_no_others() -> None:
    point = {"type": "object", "properties": {"x": {"type": "integer"}}}
    shut = {**point, "additionalProperties": False}
    assert closed(point) == shut
    assert closed({"type": "array", "items": point}) == {"type": "array", "items": shut}
    assert closed({"anyOf": [point, {"type": "null"}]}) == {"anyOf": [shut, {"type": "null"}]}
    nested = {"properties": {"p": {"$ref": "#/$defs/P"}}, "$defs": {"P": point}}
    assert closed(nested) == {**nested, "$defs": {"P": shut}, "additionalProperties": False}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"properties": {"x": {}}, "additionalProperties": True},
        {"properties": {"x": {}}, "patternProperties": {"^y": {}}},
        {"properties": {"x": {}}, "anyOf": [{"properties": {"y": {}}}]},
        {"allOf": [{"properties": {"x": {}}}, {"properties": {"y": {}}}]},
    ],
)
def test_objects_that_may_have_others_stay_open(schema: Any) -> None:
    assert closed(schema) == schema
