"""The value formats that OpenAI's bodies share: stop, response_format, reasoning effort; Go's names of JSON types."""

from typing import Any, cast

from pydantic import Field

from gateway.errors import invalid
from gateway.http.body import GoObject

_THINK = {
    "": None,
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
    "xhigh": "max",
    "ultra": "max",
}


class StreamOptions(GoObject):
    """`stream_options`."""

    include_usage: bool = False


class Reasoning(GoObject):
    """`reasoning`."""

    effort: str = ""


class JsonSchema(GoObject):
    """`response_format.json_schema`."""

    json_schema: Any = Field(default=None, alias="schema")


class ResponseFormat(GoObject):
    """`response_format`."""

    type: str = ""
    json_schema: JsonSchema = JsonSchema()

    @property
    def native(self) -> Any:
        """Ollama's `format`; kinds that it does not know constrain nothing."""
        match self.type.strip().lower():
            case "json_object":
                return "json"
            case "json_schema":
                return self.json_schema.json_schema
            case _:
                return None


def think_of(effort: str) -> bool | str | None:
    """Ollama's `think` for an effort. Raises GatewayError for an unknown one."""
    if effort not in _THINK:
        choices = '"minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none"'
        raise invalid(f'invalid reasoning value: "{effort}" (must be {choices})')
    return _THINK[effort]


def listed(stop: Any) -> list[Any] | None:
    """`stop` as a list; None where it has no say."""
    if isinstance(stop, str):
        return [stop]
    return cast("list[Any]", stop) if isinstance(stop, list) else None


def go_kind(value: Any) -> str:
    """How Go prints the type of a decoded JSON value."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case int() | float():
            return "float64"
        case str():
            return "string"
        case list():
            return "[]interface {}"
        case _:
            return "map[string]interface {}"
