"""The client's side of a request, as far as the code that runs it must know."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientConnection:
    """One request's connection to its client."""

    arrived_ns: int = field(default_factory=time.monotonic_ns)
    """When the request arrived, on the monotonic clock."""
    stuck: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client reads too little of its reply, so that the gateway gives it up."""
    hang_up: Callable[[], None] | None = None
    """Ends the connection at once, whatever is still to be written; None where the server cannot."""

    @property
    def elapsed_ns(self) -> int:
        """Nanoseconds since the request arrived."""
        return time.monotonic_ns() - self.arrived_ns
