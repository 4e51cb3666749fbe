"""The request log: one line for each request, written when its last byte is out."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import UNEXPECTED, internal
from gateway.generation.record import LOGGED_NAME, RequestRecord
from gateway.http.connection import connection_of
from gateway.http.dialect import ErrorDialect, dialect_of, speak
from gateway.http.replies import ObservedSend
from remuda.logs import get_logger

log = get_logger()

CLIENT_LEFT = 499
"""Status of a request whose client left before its reply began, as nginx logs it."""
_SCOPE_KEY = "remuda.record"


def record_of(scope: Scope) -> RequestRecord:
    """The record of the request that `scope` belongs to."""
    return scope.setdefault(_SCOPE_KEY, RequestRecord())


class RequestLog:
    """Outermost ASGI middleware: one log line for each request, and no traceback to any client."""

    def __init__(self, app: ASGIApp, dialect: ErrorDialect) -> None:
        """`dialect` is that of requests which no route has matched."""
        self._app = app
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        speak(scope, self._dialect)
        route = f"{scope['method']} {scope['path']}"[:LOGGED_NAME]
        record = scope[_SCOPE_KEY] = RequestRecord(route, connection_of(scope).arrived_ns)
        observed = ObservedSend(send)
        try:
            await self._app(scope, receive, observed)
        except ClientDisconnect:  # it left before its body was here; nobody reads a reply
            record.outcome, record.status = "cancelled", CLIENT_LEFT
        except Exception as error:
            log.exception("request failed", route=record.route)
            record.fail(repr(error))
            if not observed.status:
                await dialect_of(scope).response(internal(UNEXPECTED))(scope, receive, observed)
        finally:
            record.status = record.status or observed.status
            log.info("request", **record.fields())
