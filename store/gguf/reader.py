"""Reads a GGUF header through a small window.

Plain reads instead of mmap: a file that is cut short while it is mapped kills its reader.
"""

import os
import struct
from io import FileIO

WINDOW = 1 << 20
MAX_HEADER = 64 << 20
"""Bytes of a header; the largest vocabularies take 16 MB."""

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

    def string(self, longest: int) -> bytes:
        """A string of at most `longest` bytes."""
        length = self.u64()
        _check_length(length, longest)
        return self.take(length)

    def skip(self, count: int) -> None:
        self.require(count)
        self._at += count

    def strings(self, count: int, longest: int) -> list[bytes]:
        """`count` strings of at most `longest` bytes each. The inner loop is inlined, as in `skip_strings`."""
        strings: list[bytes] = []
        unpack, append = _U64.unpack_from, strings.append
        while len(strings) < count:
            append(self.string(longest))  # moves the window where the string reaches beyond it
            window, at, last = self._window, self._at, len(self._window) - 8
            for _ in range(count - len(strings)):
                if at > last:
                    break
                end = at + 8 + unpack(window, at)[0]
                if end > last + 8 or end - at - 8 > longest:
                    break
                append(window[at + 8 : end])
                at = end
            self._at = at
        return strings

    def skip_strings(self, count: int, longest: int) -> None:
        """Skips `count` strings. The inner loop is inlined, as vocabularies have hundreds of thousands."""
        unpack = _U64.unpack_from
        while count:
            self._fill(8)
            window, at, last = self._window, self._at, len(self._window) - 8
            while count and at <= last:
                length = unpack(window, at)[0]
                if length > longest:
                    _check_length(length, longest)
                at += 8 + length
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


def _check_length(length: int, longest: int) -> None:
    if length > longest:
        raise InvalidGgufError(f"a string is too long: {length} bytes where at most {longest} are allowed")
