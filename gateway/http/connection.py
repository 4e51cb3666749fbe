"""The client connection of an ASGI request."""

from starlette.types import Scope

from gateway.generation.connection import ClientConnection
from gateway.http.protocol import HANG_UP

_SCOPE_KEY = "remuda.connection"


def connection_of(scope: Scope) -> ClientConnection:
    """The connection of the request that `scope` belongs to. The request has arrived when this is first called."""
    connection = scope.get(_SCOPE_KEY)
    if connection is None:
        extension = scope.get("extensions", {}).get(HANG_UP)
        connection = scope[_SCOPE_KEY] = ClientConnection(hang_up=extension and extension["call"])
    return connection
