"""Errors as clients see them: one exception, rendered in the dialect of the surface that was called."""

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from gateway.golang.json import encode

UNEXPECTED = "internal server error"
"""All that a client learns about a failure that has no text of its own; the log has the traceback."""

WORKER_STOPPED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
    "check ollama server logs for details"
)
STOPPING = "the server is shutting down"
QUEUE_FULL = "server busy, please try again.  maximum pending requests exceeded"

NATIVE_JSON = "application/json; charset=utf-8"

_PLAIN_TEXTS = {404: "404 page not found", 405: "405 method not allowed"}
_OPENAI_TYPES = {400: "invalid_request_error", 404: "not_found_error"}


class ApiError(Exception):
    """A failure that the client is told about. `status` is the HTTP status, `message` the text in the body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def not_implemented(what: str) -> ApiError:
    """501: this part of Ollama's interface is not there yet. `what` begins the sentence."""
    return ApiError(501, f"{what} not implemented yet")


def openai_error(error: ApiError) -> dict[str, Any]:
    """The error body of `/v1`."""
    kind = _OPENAI_TYPES.get(error.status, "api_error")
    return {"error": {"message": error.message, "type": kind, "param": None, "code": None}}


def native_error(error: ApiError) -> dict[str, Any]:
    """The error body of `/api`."""
    return {"error": error.message}


def error_body(path: str, error: ApiError) -> bytes:
    """The JSON body that tells `error` on the surface that `path` belongs to."""
    return encode(openai_error(error) if path.startswith("/v1/") else native_error(error))


def error_response(scope: Scope, error: ApiError) -> Response:
    """A whole reply for an error before the first byte."""
    return Response(error_body(scope["path"], error), error.status, media_type=NATIVE_JSON)


async def on_api_error(request: Request, error: Exception) -> Response:
    """FastAPI's handler for `ApiError`."""
    assert isinstance(error, ApiError)
    return error_response(request.scope, error)


async def on_unexpected(request: Request, error: Exception) -> Response:
    """FastAPI's handler for all other exceptions, which it raises again for the log."""
    del error
    return error_response(request.scope, ApiError(500, UNEXPECTED))


def plain_error(status: int) -> Response:
    """What routing itself answers: text, not JSON."""
    return PlainTextResponse(_PLAIN_TEXTS[status], status)
