"""A cache of encoded media: a chat sends its images again with every turn."""

from collections import OrderedDict

from workers.engine.media.prompt import Chunk, MediaChunk


class EncodedMedia:
    """Keeps the most recently used media, up to `capacity` bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[bytes, tuple[Chunk, ...]] = OrderedDict()
        self._bytes = 0

    def get(self, digest: bytes) -> tuple[Chunk, ...] | None:
        """Returns the chunks of the file with that digest, None = not kept."""
        chunks = self._entries.get(digest)
        if chunks is not None:
            self._entries.move_to_end(digest)
        return chunks

    def put(self, digest: bytes, chunks: tuple[Chunk, ...]) -> None:
        """Keeps the chunks of a file that is not in the cache."""
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
