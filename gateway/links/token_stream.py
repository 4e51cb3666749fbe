"""Token frames from the workers, dealt out to the inboxes of their requests.

This path runs for every token of every stream. So it reads the socket itself, without asyncio's streams, whenever the
socket's descriptor turns readable. A reader that is slow finds all its pieces at once.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias, cast

import zmq

from remuda.endpoints import remove_socket
from remuda.logs import get_logger
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from remuda.zeromq import bind_private

log = get_logger()

FRAMES_AT_ONCE = 64
"""Frames read in one go, before other tasks of the loop get their turn."""


class SubmitBroken:
    """The Submit call broke off: from now on the inbox gets token pieces alone."""


Item: TypeAlias = wire.TokenPiece | pb.RequestEvent | SubmitBroken | Exception


@dataclass(frozen=True, slots=True)
class UnreadLimit:
    """How much may wait for a slow reader."""

    size: int
    """Bytes of pieces in the inbox."""
    exceeded: Callable[[], None]
    """Called when there are more. The inbox drops what it holds, and its reader must end."""


class Inbox:
    """All that arrives for one request, from ZeroMQ and from gRPC, in the order of arrival. It has one reader."""

    __slots__ = ("_items", "_limit", "_reader", "_unread", "attempt", "has_output")

    def __init__(self, limit: UnreadLimit | None = None) -> None:
        self.attempt = 0
        self.has_output = False  # a piece of any attempt has arrived
        self._items: deque[Item] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._limit = limit
        self._unread = 0

    def put_piece(self, piece: wire.TokenPiece) -> None:
        """Adds a piece of the reply. Its size counts only where the reader is behind already."""
        self.has_output = True
        if self._limit is not None and self._items:
            self._unread += piece.ByteSize()
            if self._unread > self._limit.size:
                self._items.clear()
                self._limit.exceeded()
                return
        self.put(piece)

    def put(self, item: Item) -> None:
        self._items.append(item)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def take(self) -> list[Item]:
        """All items so far. Waits for the first one."""
        if not self._items:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
            self._reader = None
        items = list(self._items)
        self._items.clear()
        self._unread = 0
        return items


class TokenStream:
    """Binds this gateway's ZeroMQ endpoint for token frames and fills the inboxes."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._inboxes: dict[int, Inbox] = {}
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._socket = self._context.socket(zmq.PULL)
        self._socket.set_hwm(0)  # a full queue would block a worker's step, and with it every other gateway
        self._socket.linger = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Binds the socket (its file gets mode 0600) and begins to read. Needs a running loop."""
        bind_private(self._socket, self.endpoint)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._read)
        self._loop.call_soon(self._read)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._descriptor)
            self._loop = None
        self._socket.close()
        self._context.term()
        remove_socket(self.endpoint)

    @contextlib.contextmanager
    def inbox(self, request_id: int, limit: UnreadLimit | None = None) -> Generator[Inbox]:
        """An inbox for the pieces of `request_id` while the context is open."""
        inbox = self._inboxes[request_id] = Inbox(limit)
        try:
            yield inbox
        finally:
            del self._inboxes[request_id]

    @property
    def _descriptor(self) -> int:
        return cast(int, self._socket.getsockopt(zmq.FD))

    def _read(self) -> None:
        """Reads all frames there are: ZeroMQ's descriptor signals edges, not levels."""
        if self._loop is None:
            return
        for _ in range(FRAMES_AT_ONCE):
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._deal(frame)
        self._loop.call_soon(self._read)

    def _deal(self, frame: bytes) -> None:
        try:
            pieces = wire.TokenFrame.FromString(frame).pieces
        except Exception as error:  # protobuf's DecodeError has no typed name
            log.error("unreadable token frame", bytes=len(frame), error=str(error))
            return
        for piece in pieces:
            inbox = self._inboxes.get(piece.request_id)
            if inbox is not None and inbox.attempt == piece.attempt:
                inbox.put_piece(piece)
