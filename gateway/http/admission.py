"""Which connections are served: so many in all, and so many from one address. The others are told to come back."""

import asyncio
import ipaddress
from collections import Counter
from typing import Any, cast

from remuda.logs import get_logger

log = get_logger()

IPV6_NETWORK = 64
"""Bits of an IPv6 address that name its owner's network: one machine has all addresses below them."""


class Admission:
    """Counts the open connections of a process."""

    def __init__(self, most: int, most_per_address: int, most_refused: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._most_refused = most_refused
        self._served = 0
        self._refused = 0
        self._by_address: Counter[str] = Counter()
        self._is_crowded = False
        """Whether connections were refused since there was plenty of room."""

    def enter(self, address: str) -> bool:
        """Whether a connection from `address` (of `counted_address`) is served. Each True needs a `leave`."""
        if self._served >= self._most:
            if not self._is_crowded:
                log.warning("too many connections: new ones are refused", open=self._served)
            self._is_crowded = True
            return False
        if address and self._by_address[address] >= self._most_per_address:
            return False
        self._served += 1
        if address:
            self._by_address[address] += 1
        return True

    def leave(self, address: str) -> None:
        """A connection that was served has closed."""
        self._served -= 1
        self._is_crowded = self._is_crowded and 2 * self._served > self._most
        if address:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def enter_refused(self) -> bool:
        """Whether a refused connection may stay open to read why. Each True needs a `leave_refused`."""
        if self._refused >= self._most_refused:
            return False
        self._refused += 1
        return True

    def leave_refused(self) -> None:
        self._refused -= 1


def counted_address(peer: Any) -> str:
    """The address that a connection counts for, from its transport's `peername`; "" = for none.

    The connections of this machine count for none: a reverse proxy brings those of all its clients.
    """
    if not isinstance(peer, tuple):
        return ""  # a unix socket
    address = ipaddress.ip_address(str(cast("tuple[object, ...]", peer)[0]))
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), IPV6_NETWORK), strict=False))
    return str(address)


class RefusedConnection(asyncio.Protocol):
    """The protocol of a connection that is not served: it says so, and reads nothing.

    The client closes. A server that closed first would reset the connection of a client that has sent its request, and
    the reply could be lost.
    """

    def __init__(self, admission: Admission, reply: bytes, linger_s: float) -> None:
        self._admission = admission
        self._reply = reply
        self._linger_s = linger_s
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        if not self._admission.enter_refused():
            transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(self._linger_s, transport.abort)
        transport.write(self._reply)
        transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._timer is not None:
            self._timer.cancel()
            self._admission.leave_refused()
