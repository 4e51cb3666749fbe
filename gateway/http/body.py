"""Request bodies as Go's decoder reads them: any content type, keys in any case, null for the default."""

import asyncio
import json
from typing import Any, ClassVar, TypeVar, cast

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails
from starlette.requests import Request

from gateway.errors import invalid, too_large

Body = TypeVar("Body", bound=BaseModel)

LARGE = 1 << 20
"""Bytes of a body that are read in a thread: they take more than 10 ms, and what orjson refuses a hundred."""
TOO_LARGE = "http: request body too large"
_TRAILING = "unexpected content after document"

_GO_TYPES = {
    "string_type": "string",
    "bool_type": "bool",
    "int_type": "int",
    "int_from_float": "int",
    "float_type": "float64",
    "dict_type": "map[string]interface {}",
    "list_type": "[]interface {}",
    "tuple_type": "[]interface {}",
}


class GoObject(BaseModel):
    """A JSON object read as Go reads it into a struct: strict types, keys in any case, null leaves the default."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, populate_by_name=True)
    go_type: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        fields = {(field.alias or name).lower(): field.alias or name for name, field in cls.model_fields.items()}
        items = cast("dict[str, Any]", value).items()
        named = ((fields.get(key.lower()), item) for key, item in items)
        return {name: item for name, item in named if name is not None and item is not None}


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises GatewayError beyond `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(TOO_LARGE)
        parts.append(part)
    return b"".join(parts)


def parse_json(body: bytes, *, empty: str = "missing request body") -> Any:
    """The first JSON value of a body. Raises GatewayError with a text like Go's; `empty` is the one for no body."""
    if not body.strip():
        raise invalid(empty)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith(_TRAILING):
            return orjson.loads(error.doc[: error.pos])
        return _parse_first(body)


def _parse_first(body: bytes) -> Any:
    text = body.decode("utf-8", errors="replace")
    start = len(text) - len(text.lstrip())
    try:
        return _without_lone_surrogates(_DECODER.raw_decode(text, start)[0])
    except json.JSONDecodeError as error:
        raise invalid(_go_syntax_error(text, error.pos)) from None
    except (RecursionError, ValueError):
        raise invalid("exceeded max depth") from None


def _without_lone_surrogates(value: Any) -> Any:
    """Halves of UTF-16 pairs become U+FFFD: no encoder accepts them."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {_without_lone_surrogates(key): _without_lone_surrogates(item) for key, item in items}
    return value


def _refuse_constant(name: str) -> None:
    """Python's decoder knows NaN and Infinity; JSON does not."""
    raise invalid(f"invalid character {name.lstrip('-')[0]!r} looking for beginning of value")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _go_syntax_error(text: str, position: int) -> str:
    rest = text[position:].strip()
    if not rest or rest[0] == '"':
        return "unexpected EOF"
    return f"invalid character {rest[0]!r} looking for beginning of value"


async def read_object(model: type[Body], request: Request, limit: int, *, empty: str = "missing request body") -> Body:
    """The body of a request as `model`. Raises GatewayError: 413 beyond `limit` bytes, 400 with a text like Go's."""
    body = await read_body(request, limit)
    if len(body) <= LARGE:
        return parse_object(model, body, empty=empty)
    return await asyncio.to_thread(parse_object, model, body, empty=empty)


def parse_object(model: type[Body], body: bytes, *, empty: str = "missing request body") -> Body:
    """A body as `model`. Raises GatewayError with a text like Go's."""
    value = parse_json(body, empty=empty)
    try:
        return model.model_validate({} if value is None else value)
    except ValidationError as error:
        raise invalid(_go_type_error(model, error.errors(include_url=False)[0])) from None


def _go_type_error(model: type[BaseModel], error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"]) if "ctx" in error else error["msg"]
    path = ".".join(part for part in error["loc"] if isinstance(part, str))
    target = _GO_TYPES.get(error["type"], "struct")
    name = getattr(model, "go_type", "") or model.__name__
    field = f"Go struct field {name}.{path} of type {target}" if path else f"Go value of type api.{name}"
    return f"json: cannot unmarshal {_go_kind(error['input'])} into {field}"


def _go_kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case None:
            return "null"
        case _:
            return "object"
