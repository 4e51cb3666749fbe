"""A transport that knows how many bytes its peer has taken."""

import asyncio
import fcntl
import struct
import termios
from typing import Any


class CountedTransport:
    """What uvicorn uses of a socket's transport, with a count of what is written."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._written = 0
        self.write_eof = transport.write_eof
        self.close = transport.close
        self.abort = transport.abort
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    @property
    def unread(self) -> int:
        """Bytes written that the kernel has not taken yet: it has as many for the peer as it keeps."""
        return self._transport.get_write_buffer_size()

    @property
    def read(self) -> int:
        """Bytes that the peer has acknowledged. What the kernel takes would not do: it takes megabytes at once."""
        return self._written - self.unread - self._in_kernel()

    def write(self, data: bytes) -> None:
        self._written += len(data)
        self._transport.write(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def _in_kernel(self) -> int:
        """Bytes in the socket's send queue."""
        try:
            queued = fcntl.ioctl(self.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except (OSError, ValueError):  # closed, or a system that does not tell
            return 0
        return struct.unpack("i", queued)[0]
