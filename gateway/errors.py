"""What can go wrong with a request: a kind and a message. Surfaces turn kinds into statuses and bodies."""

from enum import Enum, auto

UNEXPECTED = "internal server error"
"""The client's text for a failure without a text of its own. The log has the traceback."""

WORKER_STOPPED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
    "check ollama server logs for details"
)
NO_MODEL = "model '' not found"
"""Of a request without the name of a model."""
STOPPING = "the server is shutting down"
QUEUE_FULL = "server busy, please try again.  maximum pending requests exceeded"

CONNECTIONS_FULL = "server busy, please try again.  maximum open connections exceeded"


class ErrorKind(Enum):
    """Whose fault an error is, and whether another try may help."""

    INVALID = auto()
    """The request is wrong."""
    MISTYPED = auto()
    """An option or `format` has a value of the wrong type. Ollama calls this an error of its own."""
    TOO_LARGE = auto()
    """The body has too many bytes."""
    TIMED_OUT = auto()
    """The client does not send what it began."""
    FORBIDDEN = auto()
    """The model may not be used here."""
    NOT_FOUND = auto()
    """There is no such model."""
    UNSUPPORTED = auto()
    """Remuda does not do this yet."""
    BUSY = auto()
    """The queue is full; later there may be room."""
    UNAVAILABLE = auto()
    """A process that the request needs is away or about to stop."""
    FAILED = auto()
    """The worker failed on this request."""
    INTERNAL = auto()
    """The model or the server is broken: a template that fails, a load that fails, a bug."""


class GatewayError(Exception):
    """A failure whose `message` the client gets."""

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


def timed_out(message: str) -> GatewayError:
    return GatewayError(ErrorKind.TIMED_OUT, message)


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


def overloaded() -> GatewayError:
    """An error for work that finds too much of its kind waiting."""
    return busy(QUEUE_FULL)


def not_implemented(what: str) -> GatewayError:
    """An error for a part of Ollama's interface that is still missing. `what` begins its sentence, verb included."""
    return unsupported(f"{what} not implemented yet")
