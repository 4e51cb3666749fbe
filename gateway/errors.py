"""What can go wrong with a request: a kind and a message. Each surface says what a kind looks like to its clients."""

from enum import Enum, auto
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


class ErrorKind(Enum):
    """Whose fault it is, and whether it is worth another try."""

    INVALID = auto()
    """The request is wrong."""
    MISTYPED = auto()
    """An option or `format` has a value of the wrong type, which Ollama notices late and calls its own error."""
    TOO_LARGE = auto()
    """The body has too many bytes."""
    FORBIDDEN = auto()
    """The model may not be used here."""
    NOT_FOUND = auto()
    """There is no such model."""
    UNSUPPORTED = auto()
    """Remuda does not do this yet."""
    BUSY = auto()
    """The queue is full; later there may be room."""
    UNAVAILABLE = auto()
    """A process that is needed is away, or about to stop."""
    FAILED = auto()
    """The worker failed on this request."""
    INTERNAL = auto()
    """The model or the server is broken: a template that fails, a load that fails, a bug."""


class GatewayError(Exception):
    """A failure that the client is told about in `message`."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def invalid(message: str) -> GatewayError:
    return GatewayError(ErrorKind.INVALID, message)


def mistyped(message: str) -> GatewayError:
    return GatewayError(ErrorKind.MISTYPED, message)


def too_large(message: str) -> GatewayError:
    return GatewayError(ErrorKind.TOO_LARGE, message)


def forbidden(message: str) -> GatewayError:
    return GatewayError(ErrorKind.FORBIDDEN, message)


def not_found(message: str) -> GatewayError:
    return GatewayError(ErrorKind.NOT_FOUND, message)


def unsupported(message: str) -> GatewayError:
    return GatewayError(ErrorKind.UNSUPPORTED, message)


def busy(message: str) -> GatewayError:
    return GatewayError(ErrorKind.BUSY, message)


def unavailable(message: str) -> GatewayError:
    return GatewayError(ErrorKind.UNAVAILABLE, message)


def failed(message: str) -> GatewayError:
    return GatewayError(ErrorKind.FAILED, message)


def internal(message: str) -> GatewayError:
    return GatewayError(ErrorKind.INTERNAL, message)


def not_implemented(what: str) -> GatewayError:
    """This part of Ollama's interface is not there yet. `what` begins the sentence."""
    return unsupported(f"{what} not implemented yet")


# ---- to be moved to the surfaces ----

_STATUS = {
    ErrorKind.INVALID: 400,
    ErrorKind.MISTYPED: 500,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.UNSUPPORTED: 501,
    ErrorKind.BUSY: 503,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.FAILED: 500,
    ErrorKind.INTERNAL: 500,
}
_PLAIN_TEXTS = {404: "404 page not found", 405: "405 method not allowed"}
_OPENAI_TYPES = {400: "invalid_request_error", 404: "not_found_error"}


def status_of(error: GatewayError) -> int:
    return _STATUS[error.kind]


def openai_error(error: GatewayError) -> dict[str, Any]:
    """The error body of `/v1`."""
    kind = _OPENAI_TYPES.get(status_of(error), "api_error")
    return {"error": {"message": error.message, "type": kind, "param": None, "code": None}}


def native_error(error: GatewayError) -> dict[str, Any]:
    """The error body of `/api`."""
    return {"error": error.message}


def error_body(path: str, error: GatewayError) -> bytes:
    """The JSON body that tells `error` on the surface that `path` belongs to."""
    return encode(openai_error(error) if path.startswith("/v1/") else native_error(error))


def error_response(scope: Scope, error: GatewayError) -> Response:
    """A whole reply for an error before the first byte."""
    return Response(error_body(scope["path"], error), status_of(error), media_type=NATIVE_JSON)


async def on_api_error(request: Request, error: Exception) -> Response:
    """FastAPI's handler for `GatewayError`."""
    assert isinstance(error, GatewayError)
    return error_response(request.scope, error)


async def on_unexpected(request: Request, error: Exception) -> Response:
    """FastAPI's handler for all other exceptions, which it raises again for the log."""
    del error
    return error_response(request.scope, internal(UNEXPECTED))


def plain_error(status: int) -> Response:
    """What routing itself answers: text, not JSON."""
    return PlainTextResponse(_PLAIN_TEXTS[status], status)
