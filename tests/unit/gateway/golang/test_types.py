"""Go's names for JSON values."""

import json

import pytest

from gateway.golang.types import json_kind, type_name


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("null", "null", "<nil>"),
        ("true", "bool", "bool"),
        ("1", "number", "float64"),
        ("1.5", "number", "float64"),
        ('""', "string", "string"),
        ("[1]", "array", "[]interface {}"),
        ("{}", "object", "map[string]interface {}"),
    ],
)
def test_a_json_value_has_gos_names(text: str, kind: str, name: str) -> None:
    value = json.loads(text)
    assert (json_kind(value), type_name(value)) == (kind, name)
