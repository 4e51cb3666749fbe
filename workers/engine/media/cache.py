"""Encoded media, kept for the next prompt that has them: a chat sends its images again with every turn."""

from collections import OrderedDict

from workers.engine.media.prompt import Chunk, MediaChunk


class EncodedMedia:
    """Keeps what was used last, up to a number of bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[bytes, tuple[Chunk, ...]] = OrderedDict()
        self._bytes = 0

    def get(self, digest: bytes) -> tuple[Chunk, ...] | None:
        """The chunks of a file with that digest, if they are still here."""
        chunks = self._entries.get(digest)
        if chunks is not None:
            self._entries.move_to_end(digest)
        return chunks

    def put(self, digest: bytes, chunks: tuple[Chunk, ...]) -> None:
        """Keeps the chunks of a file that is not here yet."""
        size = _bytes(chunks)
        if size > self._capacity:
            return
        self._entries[digest] = chunks
        self._bytes += size
        while self._bytes > self._capacity:
            _, dropped = self._entries.popitem(last=False)
            self._bytes -= _bytes(dropped)


def _bytes(chunks: tuple[Chunk, ...]) -> int:
    return sum(chunk.embeddings.nbytes for chunk in chunks if isinstance(chunk, MediaChunk))
