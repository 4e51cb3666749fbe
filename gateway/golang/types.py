"""Go's names for JSON values, as they stand in Ollama's error texts."""

from typing import Any

STRING = "string"
BOOL = "bool"
FLOAT = "float64"
INT = "int"
LIST = "[]interface {}"
MAP = "map[string]interface {}"


def type_name(value: Any) -> str:
    """The type of a decoded JSON value, as Go's `%T` prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return BOOL
        case int() | float():
            return FLOAT
        case str():
            return STRING
        case list():
            return LIST
        case _:
            return MAP


def json_kind(value: Any) -> str:
    """The kind of a JSON value, as Go's decoder names it in an UnmarshalTypeError."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"
