"""What the request bodies of a gateway share: memory with one limit, and the threads that read them."""

import threading

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import busy, too_large
from gateway.http.pace import Pace, PacedReceive
from remuda.threads import Threads

TOO_LARGE = "http: request body too large"
BODIES_FULL = "server busy, please try again.  the bodies of other requests take all memory there is for them"

SMALL = 1 << 20
"""Bytes up to which a body may use the whole budget."""
LARGE_SHARE = 7 / 8
"""Part of the budget for larger ones: a few huge bodies, sent slowly, do not keep chats out."""

VALUE_SIZE = 72
"""Bytes that a JSON value takes beside its text: 72 in a list of short strings, 67 in a list of small objects, 36 in a
list of empty ones (orjson, CPython 3.11). Each value comes with one of these characters, but for the first one."""
COUNTED_AT_ONCE = 1 << 20
"""Bytes of a body whose values are counted without a break. One of brackets alone takes 10 ms."""
VALUES_SHARE = 1 / 8
"""Part of the budget for the values of one body. The parser holds up the event loop, a quarter of a second with 900,000
empty lists, which take the eighth of 1 GiB."""
_BEFORE_VALUES = (b",", b"[", b"{", b":")

_MEMORY_KEY, _THREADS_KEY = "remuda.body_memory", "remuda.body_threads"


def values_size(body: bytes) -> int:
    """Bytes that a JSON body takes once it is parsed, beside its text. A body of brackets takes 35 times its length."""
    return VALUE_SIZE * sum(map(body.count, _BEFORE_VALUES))


class BodyBudget:
    """Counts the bytes reserved in one gateway. Threads may share it."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self.reserved = 0

    def reserve(self, more: int, expected: int) -> None:
        """Reserves `more` bytes for one who will have `expected` in all. Raises GatewayError: TOO_LARGE where it could
        never have as many, and BUSY where others have them."""
        limit = self.limit if expected <= SMALL else int(LARGE_SHARE * self.limit)
        if expected > limit:
            raise too_large(TOO_LARGE)
        with self._lock:
            if self.reserved + more > limit:
                raise busy(BODIES_FULL)
            self.reserved += more

    def release(self, size: int) -> None:
        with self._lock:
            self.reserved -= size


class BodyMemory:
    """What one request has reserved: its body as far as it has arrived, and the values that were parsed from it.

    It stands for the least that the body takes. While one copy is made from another, its text takes twice that, and
    four times where it is not ASCII. All of it is reserved until the request ends, since nobody counts what is kept.
    """

    def __init__(self, budget: BodyBudget, declared: int = 0) -> None:
        """`declared` is the length in bytes that the client has announced, or 0."""
        self._budget = budget
        self.declared = declared
        self._size = 0

    def grow(self, more: int) -> None:
        """Reserves `more` bytes. Raises GatewayError: TOO_LARGE or BUSY."""
        self._budget.reserve(more, max(self._size + more, self.declared))
        self._size += more

    def grow_by_values(self, body: bytes) -> None:
        """Reserves what the values of a JSON body take beside its text. Raises GatewayError: TOO_LARGE or BUSY."""
        size = 0
        for start in range(0, len(body), COUNTED_AT_ONCE):  # other threads run in between
            size += values_size(body[start : start + COUNTED_AT_ONCE])
            if size > VALUES_SHARE * self._budget.limit:
                raise too_large(TOO_LARGE)
        self.grow(size)

    def clear(self) -> None:
        self._budget.release(self._size)
        self._size = 0


def body_memory_of(scope: Scope) -> BodyMemory:
    """The reservation of the request that `scope` belongs to."""
    return scope[_MEMORY_KEY]


def body_threads_of(scope: Scope) -> Threads:
    """The threads in which the long bodies of the gateway are decompressed and parsed."""
    return scope[_THREADS_KEY]


def declared_length(scope: Scope) -> int:
    """Bytes of the body as its head announces them, or 0."""
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared) if declared.isdecimal() else 0


class BoundedBodies:
    """ASGI middleware: a body arrives at some pace, and counts in the budget until its request has ended."""

    def __init__(self, app: ASGIApp, pace: Pace, budget: BodyBudget, threads: Threads) -> None:
        self._app = app
        self._pace = pace
        self._budget = budget
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        memory = scope[_MEMORY_KEY] = BodyMemory(self._budget, declared_length(scope))
        scope[_THREADS_KEY] = self._threads
        try:
            await self._app(scope, PacedReceive(receive, self._pace), send)
        finally:
            memory.clear()
