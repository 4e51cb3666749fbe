"""uvicorn's HTTP protocol with a limit on the head of a request, and with a way for the application to hang up.

Without the limit one endless header fills a gateway's memory and stalls it. Without the way to hang up a connection
waits for a client that does not read.
"""

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _HttpToolsProtocol

HANG_UP = "remuda.hang_up"
"""The ASGI extension whose `call` ends the connection."""
HttpToolsProtocol: Any = _HttpToolsProtocol  # its annotations are incomplete


def bounded_protocol(max_head: int) -> type[Any]:
    """The protocol class for heads (request line and headers) of about `max_head` bytes at most. A longer one gets
    status 400, and its connection ends."""

    class BoundedProtocol(HttpToolsProtocol):
        _head: int | None = 0
        """Bytes of the unfinished head so far, and of what the same read brought after it. None = in a body."""

        def on_message_begin(self) -> None:
            self._head = 0
            parent: Any = super()
            parent.on_message_begin()
            self.scope["extensions"] = {HANG_UP: {"call": self.transport.abort}}

        def on_headers_complete(self) -> None:
            self._head = None
            parent: Any = super()
            parent.on_headers_complete()

        def on_message_complete(self) -> None:
            self._head = 0
            parent: Any = super()
            parent.on_message_complete()

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            if self._head is not None:
                self._head += len(data)
                if self._head > max_head:
                    self.send_400_response("The header of the request is too long.")
                    return
            parent: Any = super()
            parent.data_received(data)

    return cast("type[Any]", BoundedProtocol)
