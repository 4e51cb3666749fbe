"""How fast a client must send and read: by progress, so that a large body on a slow line has all the time it needs."""

import asyncio
from dataclasses import dataclass

from starlette.types import Message, Receive

from gateway.errors import timed_out
from remuda.durations import seconds
from remuda.settings import Settings

TOO_SLOW = "the body of the request does not arrive"
LONGEST = 60
"""Periods in which a body may arrive at an even pace, half an hour by default: in each, this part of what has arrived
must follow. So none fills the memory for all bodies and then trickles."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The least progress of a client that sends a body or reads a reply."""

    least: int
    """Bytes in each period."""
    period_s: float

    @classmethod
    def of(cls, settings: Settings) -> "Pace":
        return cls(settings.stall_bytes, seconds(settings.stall_timeout_ns))


class PacedReceive:
    """A `receive` that raises GatewayError (TIMED_OUT) when the client sends its body too slowly.

    Only the time counts in which the application waits for the client.
    """

    def __init__(self, receive: Receive, pace: Pace) -> None:
        self._receive = receive
        self._pace = pace
        self._is_complete = False
        self._arrived = 0
        """Bytes, for which memory is taken."""
        self._left_s = pace.period_s
        """Of the current period."""
        self._due = pace.least
        """Bytes that are to come in it."""

    async def __call__(self) -> Message:
        if self._is_complete:
            return await self._receive()
        clock = asyncio.get_running_loop()
        began = clock.time()
        try:
            async with asyncio.timeout(self._left_s):
                message = await self._receive()
        except TimeoutError:
            raise timed_out(TOO_SLOW) from None
        self._note(message, clock.time() - began)
        return message

    def _note(self, message: Message, waited_s: float) -> None:
        self._is_complete = not message.get("more_body", False)
        size = len(message.get("body", b""))
        self._arrived += size
        self._left_s -= waited_s
        self._due -= size
        if self._due <= 0:
            self._left_s, self._due = self._pace.period_s, max(self._pace.least, self._arrived // LONGEST)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the client of a connection has got."""

    owes: tuple[str, int] | None
    """What the connection waits for before it can go on: the part of a message, and the message's number."""
    unread: int
    """Bytes of replies that the client's side has not taken yet."""
    read: int
    """Bytes of replies that it has taken."""


NO_STANDING = Standing(None, 0, 0)
"""Of a connection that has just opened."""


def is_silent(before: Standing, now: Standing) -> bool:
    """Whether the client owed the same thing all the time."""
    return now.owes is not None and now.owes == before.owes


def is_unread(before: Standing, now: Standing, least: int) -> bool:
    """Whether the client had something to read all the time, and took less than `least` bytes of it."""
    return before.unread > 0 and now.unread > 0 and now.read - before.read < least
