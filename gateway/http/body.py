"""Request bodies, read as Go's decoder does: any content type, keys in any case, null for the default."""

import json
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar, cast

import orjson
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from starlette.requests import Request

from gateway.errors import invalid, too_large
from gateway.golang import types as go
from gateway.http.body_budget import TOO_LARGE, body_memory_of, body_threads_of

Body = TypeVar("Body", bound=BaseModel)
Value = TypeVar("Value")


class _FirstError(FailFast):
    """pydantic's FailFast, hashable as the members of a union have to be."""

    def __hash__(self) -> int:
        return hash(self.fail_fast)


MAX_ENTRIES = 1 << 16
"""Entries of a list or map of objects. An empty message takes 800 bytes and 5 µs once it is read."""

GoList: TypeAlias = Annotated[list[Value], _FirstError(), Field(max_length=MAX_ENTRIES)]
GoMap: TypeAlias = Annotated[dict[str, Value], _FirstError(), Field(max_length=MAX_ENTRIES)]
"""A list and a map that end at their first wrong entry: a body may have a million of them, and Go tells the first."""
GoNumbers: TypeAlias = Annotated[list[int], _FirstError()]
"""A list of integers, however long."""

LARGE = 64 << 10
"""Bytes from which on a body is parsed in a thread. Small messages of that many bytes take some 10 ms."""
MISSING = "missing request body"
_TRAILING = "unexpected content after document"

_TARGETS = {
    "string_type": go.STRING,
    "bool_type": go.BOOL,
    "int_type": go.INT,
    "int_from_float": go.INT,
    "float_type": go.FLOAT,
    "dict_type": go.MAP,
    "list_type": go.LIST,
    "tuple_type": go.LIST,
}
"""By pydantic's name of an error: the Go type of the field that the value does not fit."""


class GoObject(BaseModel):
    """A JSON object as Go reads it into a struct: types are strict, keys have any case, null leaves the default."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, populate_by_name=True)
    go_type: ClassVar[str] = ""
    """Name of Ollama's struct, for error texts."""

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        fields = {(field.alias or name).lower(): field.alias or name for name, field in cls.model_fields.items()}
        items = cast("dict[str, Any]", value).items()
        pairs = ((fields.get(key.lower()), item) for key, item in items)
        return {name: item for name, item in pairs if name is not None and item is not None}


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, for which the request reserves memory. Raises GatewayError: TOO_LARGE beyond `limit` bytes,
    TIMED_OUT where it does not arrive, BUSY where the bodies of others take the memory."""
    memory = body_memory_of(request.scope)
    if memory.declared > limit:
        raise too_large(TOO_LARGE)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(TOO_LARGE)
        memory.grow(len(part))
        parts.append(part)
    return b"".join(parts)


def parse_json(body: bytes, *, empty: str = MISSING) -> Any:
    """The first JSON value of a body. Raises GatewayError with Go's text, or with `empty` where there is no body."""
    if not body.strip():
        raise invalid(empty)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith(_TRAILING):
            return orjson.loads(error.doc[: error.pos])
        return _parse_first(body)


def _parse_first(body: bytes) -> Any:
    """The slow way: takes what orjson refuses and Go does not. Raises GatewayError."""
    text = body.decode("utf-8", errors="replace")
    start = len(text) - len(text.lstrip())
    try:
        return _without_lone_surrogates(_DECODER.raw_decode(text, start)[0])
    except json.JSONDecodeError as error:
        raise invalid(_go_syntax_error(text, error.pos)) from None
    except (RecursionError, ValueError):
        raise invalid("exceeded max depth") from None


def _without_lone_surrogates(value: Any) -> Any:
    """Replaces halves of UTF-16 pairs by U+FFFD: no encoder accepts them."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {_without_lone_surrogates(key): _without_lone_surrogates(item) for key, item in items}
    return value


def _refuse_constant(name: str) -> None:
    """Refuses NaN and Infinity, which Python's decoder takes and JSON does not have."""
    raise invalid(f"invalid character {name.lstrip('-')[0]!r} looking for beginning of value")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _go_syntax_error(text: str, position: int) -> str:
    rest = text[position:].strip()
    if not rest or rest[0] == '"':
        return "unexpected EOF"
    return f"invalid character {rest[0]!r} looking for beginning of value"


async def read_object(model: type[Body], request: Request, limit: int, *, empty: str = MISSING) -> Body:
    """The body of a request as `model`. Raises GatewayError as `read_body` does, INVALID with Go's text, and BUSY where
    too many long bodies wait for a thread."""
    body = await read_body(request, limit)
    memory = body_memory_of(request.scope)

    def parse() -> Body:
        memory.grow_by_values(body)
        return parse_object(model, body, empty=empty)

    return parse() if len(body) <= LARGE else await body_threads_of(request.scope).run(parse)


def parse_object(model: type[Body], body: bytes, *, empty: str = MISSING) -> Body:
    """A body as `model`. Raises GatewayError with Go's text."""
    value = parse_json(body, empty=empty)
    try:
        return model.model_validate({} if value is None else value)
    except ValidationError as error:
        raise invalid(_go_type_error(model, error.errors(include_url=False)[0])) from None


def _go_type_error(model: type[BaseModel], error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"]) if "ctx" in error else error["msg"]
    path = ".".join(part for part in error["loc"] if isinstance(part, str))
    if error["type"] == "too_long":
        return f"{path} may have {MAX_ENTRIES} entries at most"
    target = _TARGETS.get(error["type"], "struct")
    name = getattr(model, "go_type", "") or model.__name__
    field = f"Go struct field {name}.{path} of type {target}" if path else f"Go value of type api.{name}"
    return f"json: cannot unmarshal {go.json_kind(error['input'])} into {field}"
