"""uvicorn's HTTP protocol, with limits on what a client may send, and an end for connections that make no progress."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httptools
from starlette.responses import PlainTextResponse, Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.http.admission import Admission, RefusedConnection, counted_address
from gateway.http.connection_limits import ConnectionLimits
from gateway.http.pace import NO_STANDING, Standing, is_silent, is_unread
from gateway.http.transport import CountedTransport

HANG_UP = "remuda.hang_up"
"""The ASGI extension whose `call` ends the connection."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no more of a connection is read."""

    status: int
    text: str


MALFORMED = Refusal(400, "Invalid HTTP request received.")
TOO_LONG = Refusal(431, "The header of the request is too long.")
TOO_MANY = Refusal(431, "The request has too many headers.")
TOO_LATE = Refusal(408, "The header of the request does not arrive.")
NO_PROXY = Refusal(405, "405 method not allowed")


class RefusedMessageError(Exception):
    """Stops the parser."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _counted: CountedTransport

    def __init__(self, limits: ConnectionLimits, admission: Admission, busy: bytes, **arguments: Any) -> None:
        """`busy` is the reply to connections that are too many, and `arguments` are uvicorn's."""
        super().__init__(**arguments)
        self.timeout_keep_alive = limits.idle_s
        self._limits = limits
        self._admission = admission
        self._busy = busy
        self._address = ""
        self._timer: asyncio.TimerHandle | None = None
        """Looks after the client's progress, or ends the connection."""
        self._standing = NO_STANDING
        self._messages = 0
        """Heads that have arrived."""
        self._framing = 0
        """Bytes that have arrived since the last message ended or brought a piece of its body."""
        self._is_in_body = False
        self._has_body_begun = False
        self._under_way: deque[RequestResponseCycle] = deque()
        """uvicorn's cycles of the requests that are not answered yet, the oldest of which is running."""
        self._is_deaf = False
        """Whether all further input is dropped."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._address = counted_address(transport.get_extra_info("peername"))
        if not self._admission.enter(self._address):
            refused = RefusedConnection(self._admission, self._busy, self._limits.linger_s)
            transport.set_protocol(refused)
            refused.connection_made(transport)
            return
        self._counted = CountedTransport(transport)
        super().connection_made(cast(Any, self._counted))
        self._call_later(self._limits.pace.period_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._admission.leave(self._address)
        if self._timer is not None:
            self._timer.cancel()
        self._unset_keepalive_if_required()  # uvicorn keeps it after a reset
        self._cancel_requests()
        super().connection_lost(exc)

    def _cancel_requests(self) -> None:
        """Tells all requests that their client has gone. uvicorn tells only the newest one."""
        for cycle in self._under_way:
            cycle.disconnected = True
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        while data and not self._is_deaf:
            room = self._limits.max_head - self._framing
            piece, data = data[:room], data[room:]
            self._framing += len(piece)
            self._feed(piece)
            if self._framing >= self._limits.max_head:
                self._refuse(TOO_LONG)
        if not self._is_deaf and not self._under_way and self._owes() is None:
            self._rest()

    def _rest(self) -> None:
        """Ends the connection if nothing comes for a while. uvicorn does so only after a reply, not after what follows
        it: the rest of a body."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._feed_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.refusal if isinstance(cause, RefusedMessageError) else MALFORMED)

    def _feed_without_upgrade(self, rest: bytes) -> None:
        """Reads a head again without its wish for another protocol, which a server may pass over. The parser would take
        what follows for that protocol, also a body."""
        line = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = (b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade")
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"".join((line, *headers, b"\r\n", rest)))

    def on_message_begin(self) -> None:
        if len(self._under_way) >= self._limits.max_under_way:
            raise RefusedMessageError(MALFORMED)  # which nobody is told: the replies come first
        super().on_message_begin()
        self.scope["extensions"] = {HANG_UP: {"call": self.transport.abort}}

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_body:
            return  # a trailer: as a header it would tell the application something that no proxy has checked
        if len(self.headers) >= self._limits.max_headers:
            raise RefusedMessageError(TOO_MANY)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            raise RefusedMessageError(NO_PROXY)
        if self.parser.should_upgrade():
            return
        self._messages += 1
        self._framing = 0
        self._is_in_body, self._has_body_begun = True, False
        super().on_headers_complete()
        self._under_way.append(self.cycle)
        if len(self._under_way) > 1:
            self.flow.resume_reading()  # uvicorn pauses here, and would not see the client leave

    def on_body(self, body: bytes) -> None:
        self._framing = 0
        self._has_body_begun = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._framing = 0
        self._is_in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._under_way.popleft()
        super().on_response_complete()
        if not self._under_way and self._is_in_body and self.expect_100_continue and not self._has_body_begun:
            self.transport.close()  # whether a body comes or another request, nobody can tell

    def _refuse(self, refusal: Refusal) -> None:
        """Takes no more input, and ends the connection after the replies to what has arrived."""
        self._is_deaf = True
        if self._under_way and not self._is_in_body:
            self._under_way[-1].keep_alive = False
            return
        is_between_replies = not self._under_way and not self._is_in_body
        if is_between_replies or (len(self._under_way) == 1 and not self._under_way[0].response_started):
            self._say_last(raw_reply(PlainTextResponse(refusal.text, refusal.status)))
        else:
            self.transport.close()

    def _say_last(self, reply: bytes) -> None:
        """Replies and lets the client close. To close before all input is read would reset the connection, and the
        client could lose the reply."""
        self._cancel_requests()
        self.transport.write(reply)
        self.transport.write_eof()
        self._call_later(self._limits.linger_s, self.transport.abort)

    def _call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(delay_s, call)

    def _look(self) -> None:
        """Ends the connection if its client has made no progress since the last look."""
        before, self._standing = self._standing, Standing(self._owes(), self._counted.unread, self._counted.read)
        self._call_later(self._limits.pace.period_s, self._look)
        if is_unread(before, self._standing, self._limits.pace.least):
            self.transport.abort()
        elif is_silent(before, self._standing):
            self._refuse(TOO_LATE) if self._framing and not self._is_in_body else self.transport.close()

    def _owes(self) -> tuple[str, int] | None:
        if self._under_way:
            return None  # the reply is the server's to give, and the application watches over the body
        if self._is_in_body:
            return ("the rest of a body whose request is answered", self._messages)
        if self._framing or not self._messages:
            return ("a head", self._messages)
        return None  # a connection that rests has a timer of its own


def raw_reply(response: Response) -> bytes:
    """A reply that no request asked for, as bytes. The connection ends after it."""
    headers = b"".join(b"%s: %s\r\n" % header for header in response.raw_headers)
    return b"%sconnection: close\r\n%s\r\n%s" % (STATUS_LINE[response.status_code], headers, response.body)


def bounded_protocol(limits: ConnectionLimits, busy: Response) -> Callable[..., BoundedProtocol]:
    """What makes the protocols of a process's connections. `busy` tells a client that there are too many."""
    admission = Admission(limits.max_connections, limits.max_per_address, limits.max_refused)
    reply = raw_reply(busy)

    def protocol(**arguments: Any) -> BoundedProtocol:
        return BoundedProtocol(limits, admission, reply, **arguments)

    return protocol
