"""What the log tells about a request: one line, written when its last byte is out."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import UNEXPECTED, error_response, internal
from gateway.generation.record import LOGGED_NAME, RequestRecord
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

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = record_of(scope)
        record.route = f"{scope['method']} {scope['path']}"[:LOGGED_NAME]

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except ClientDisconnect:  # it left before its body was here; nobody reads a reply
            record.outcome, record.status = "cancelled", CLIENT_LEFT
        except Exception as error:
            log.exception("request failed", route=record.route)
            record.outcome, record.error = "error", repr(error)
            if not record.status:
                await error_response(scope, internal(UNEXPECTED))(scope, receive, observed)
        finally:
            log.info("request", **record.fields())
