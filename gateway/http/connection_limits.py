"""uvicorn's HTTP protocol with two things that it lacks: a limit on the head of a request (request line and headers),
without which one endless header fills the memory of a gateway and stalls it; and a way for the application to end a
connection without waiting for a client that does not read."""

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _HttpToolsProtocol

HANG_UP = "remuda.hang_up"
"""The ASGI extension whose `call` ends the connection."""
HttpToolsProtocol: Any = _HttpToolsProtocol  # its types are only partly known


def bounded_protocol(max_head: int) -> type[Any]:
    """The protocol class for heads of about `max_head` bytes at most; a longer one is answered with 400 and the end of
    the connection."""

    class BoundedProtocol(HttpToolsProtocol):
        _head: int | None = 0
        """Bytes of the unfinished head so far, with what was read in one go after it; None = in a body."""

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
