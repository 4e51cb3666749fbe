"""Error dialects: how each surface tells its clients of an error, and how a request gets its surface's dialect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from gateway.errors import UNEXPECTED, ErrorKind, GatewayError, internal
from gateway.golang.json import encode

STATUSES: Mapping[ErrorKind, int] = {
    ErrorKind.INVALID: 400,
    ErrorKind.MISTYPED: 500,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.TIMED_OUT: 408,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.UNSUPPORTED: 501,
    ErrorKind.BUSY: 503,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.FAILED: 500,
    ErrorKind.INTERNAL: 500,
}
"""Ollama's statuses, which it has on all its surfaces. A dialect may have others."""

RETRY_AFTER_S = 1
"""When a client may try again that was told of a full queue or an absent process: a process restarts within that time,
and a queue has moved on."""
_COME_BACK = {"Retry-After": str(RETRY_AFTER_S)}
_HEADERS: Mapping[ErrorKind, Mapping[str, str]] = {
    ErrorKind.BUSY: _COME_BACK,
    ErrorKind.UNAVAILABLE: _COME_BACK,
    ErrorKind.TIMED_OUT: {"Connection": "close"},  # the rest of the body would be read as the next request
}

_SCOPE_KEY = "remuda.dialect"


@dataclass(frozen=True, slots=True)
class ErrorDialect:
    """The errors of one surface."""

    body: Callable[[GatewayError], dict[str, Any]]
    """The JSON object that tells an error."""
    content_type: str
    """Of a reply that is an error."""
    statuses: Mapping[ErrorKind, int]

    def encode(self, error: GatewayError) -> bytes:
        return encode(self.body(error))

    def response(self, error: GatewayError) -> Response:
        """A whole reply for an error before the first byte."""
        return Response(self.encode(error), self.statuses[error.kind], _HEADERS.get(error.kind), self.content_type)


def speak(scope: Scope, dialect: ErrorDialect) -> None:
    """Sets the dialect of a request that no route has matched yet."""
    scope[_SCOPE_KEY] = dialect


def dialect_of(scope: Scope) -> ErrorDialect:
    """The dialect of the route that a request matched, or the one that was set before."""
    return scope[_SCOPE_KEY]


def route_class(dialect: ErrorDialect) -> type[APIRoute]:
    """The class of a surface's routes: requests that match one of them have errors in `dialect`."""

    class DialectRoute(APIRoute):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            match, child = super().matches(scope)
            return match, child if match is Match.NONE else {**child, _SCOPE_KEY: dialect}

    return DialectRoute


def install_error_handlers(app: FastAPI) -> None:
    """Replies to exceptions of endpoints in the dialect of their route."""
    app.add_exception_handler(GatewayError, _on_gateway_error)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return dialect_of(request.scope).response(error)


async def _on_unexpected(request: Request, error: Exception) -> Response:
    """FastAPI raises `error` again for the log."""
    del error
    return dialect_of(request.scope).response(internal(UNEXPECTED))
