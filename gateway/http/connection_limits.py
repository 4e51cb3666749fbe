"""What one connection, and all of them together, may take from a gateway."""

import resource
from dataclasses import dataclass

from gateway.http.pace import Pace
from remuda.durations import seconds
from remuda.settings import Settings

SERVED_SHARE, REFUSED_SHARE = 2, 4
"""Half of a process's file descriptors are for connections that it serves, a fourth for those that read their refusal.
The rest is for its own files, and for what the kernel accepts within one turn of the event loop."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of a gateway's connections. Sizes are in bytes, times in seconds."""

    max_head: int
    """Of a request's line and headers, of a chunk's line, and of the trailers after a chunked body."""
    max_headers: int
    max_under_way: int
    """Requests of one connection that are not answered yet."""
    max_connections: int
    max_refused: int
    """Connections that stay open for a moment to read why they are not served."""
    max_per_address: int
    idle_s: float
    """How long a connection may rest between two requests."""
    linger_s: float
    """How long a refused connection may take to read that."""
    pace: Pace

    @classmethod
    def of(cls, settings: Settings) -> "ConnectionLimits":
        """The limits of this process: the settings, as far as its file descriptors reach."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        connections = min(settings.max_connections, max(descriptors // SERVED_SHARE, 1))
        return cls(
            max_head=settings.max_header,
            max_headers=settings.max_headers,
            max_under_way=settings.max_pipelined,
            max_connections=connections,
            max_refused=max(descriptors // REFUSED_SHARE, 1),
            max_per_address=settings.max_address_connections or -(-connections * 3 // 4),
            idle_s=seconds(settings.idle_timeout_ns),
            linger_s=seconds(settings.refusal_timeout_ns),
            pace=Pace.of(settings),
        )
