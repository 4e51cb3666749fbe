"""What a surface provides for the replies of generations."""

from typing import Protocol

from gateway.errors import GatewayError
from gateway.generation.events import Delta, Done, WholeReply


class EventWriter(Protocol):
    """Writes one generation in a surface's own form. One object serves one request."""

    stream_type: str
    """Content type of a streamed reply."""
    json_type: str
    """Content type of a whole reply."""
    streams_immediate: bool
    """Whether a stream may hold a reply without generation (load, unload, rendered prompt)."""

    def delta(self, event: Delta) -> bytes:
        """The bytes for one piece of the reply."""
        ...

    def done(self, event: Done) -> bytes:
        """The bytes that end a stream."""
        ...

    def error(self, error: GatewayError) -> bytes:
        """The bytes that end a stream by a failure after its first byte."""
        ...

    def reply(self, reply: WholeReply) -> bytes:
        """A whole reply that is not streamed."""
        ...
