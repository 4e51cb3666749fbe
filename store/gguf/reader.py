"""Reads a GGUF header through a small window.

Plain reads instead of mmap: a file that is cut short while it is mapped kills its reader.
"""

import os
import struct
from io import FileIO

WINDOW = 1 << 20
MAX_HEADER = 256 << 20
"""Bytes of a header; the largest vocabularies take about 20 MB."""
MAX_STRING = 16 << 20

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class InvalidGgufError(ValueError):
    """The file is not a GGUF file that Remuda accepts. The text says why and holds no path."""


class HeaderReader:
    """Reads forward. Raises InvalidGgufError at the end of the file and beyond the longest allowed header."""

    def __init__(self, file: FileIO) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._limit = min(self.size, MAX_HEADER)
        self._window = b""
        self._base = 0  # position of the window in the file
        self._at = 0  # position in the window

    @property
    def position(self) -> int:
        return self._base + self._at

    @property
    def left(self) -> int:
        """Bytes that the header may still have."""
        return self._limit - self.position

    def require(self, count: int) -> None:
        """Raises InvalidGgufError where fewer than `count` bytes are left."""
        if count > self.left:
            raise InvalidGgufError("its header is truncated" if self._limit == self.size else "its header is too long")

    def take(self, count: int) -> bytes:
        self._fill(count)
        start, self._at = self._at, self._at + count
        return self._window[start : self._at]

    def u32(self) -> int:
        return _U32.unpack(self.take(4))[0]

    def u64(self) -> int:
        return _U64.unpack(self.take(8))[0]

    def string(self) -> str:
        length = self.u64()
        if length > MAX_STRING:
            raise InvalidGgufError("a string of its metadata is too long")
        return self.take(length).decode(errors="replace")

    def skip(self, count: int) -> None:
        self.require(count)
        self._at += count

    def skip_strings(self, count: int) -> None:
        """Skips `count` strings. The inner loop is inlined, as vocabularies have hundreds of thousands."""
        while count:
            self._fill(8)
            window, at, last = self._window, self._at, len(self._window) - 8
            while count and at <= last:
                at += 8 + _U64.unpack_from(window, at)[0]
                count -= 1
            self.skip(at - self._at)

    def _fill(self, count: int) -> None:
        """Makes the window hold the next `count` bytes."""
        self.require(count)
        if self._at + count <= len(self._window):
            return
        self._base, self._at = self.position, 0
        self._file.seek(self._base)
        self._window = self._read(max(count, min(WINDOW, self._limit - self._base)))
        if len(self._window) < count:
            raise InvalidGgufError("its header is truncated")

    def _read(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count and (part := self._file.read(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
