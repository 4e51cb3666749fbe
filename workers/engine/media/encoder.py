"""Encodes the media of prompts in a thread, so that no stream waits for an image."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from workers.engine.media.cache import EncodedMedia
from workers.engine.media.projector import Projector
from workers.engine.media.prompt import Chunk, MediaPrompt, Segment


class MediaEncoder:
    """One projector, its thread, and the cache of encoded media."""

    def __init__(self, projector: Projector, cache_bytes: int) -> None:
        self.projector = projector
        self._cache = EncodedMedia(cache_bytes)
        self._thread = ThreadPoolExecutor(1, "media")

    def prepare(self, segments: Iterable[Segment], tail: list[int]) -> Future[MediaPrompt]:
        """Makes the prompt of all segments and the `tail` of tokens after them. The future raises MediaError.
        Cancelling a waiting future saves the work."""
        return self._thread.submit(self._prepare, segments, tail)

    def close(self) -> None:
        """Ends the thread and cancels waiting prompts."""
        self._thread.shutdown(cancel_futures=True)

    def _prepare(self, segments: Iterable[Segment], tail: list[int]) -> MediaPrompt:
        prompt = MediaPrompt()
        for segment in segments:
            prompt.extend(segment.tokens)
            for chunk in self._chunks(segment.media):
                prompt.append(chunk)
        prompt.extend(tail)
        return prompt

    def _chunks(self, media: bytes) -> tuple[Chunk, ...]:
        digest = hashlib.sha256(media).digest()
        chunks = self._cache.get(digest)
        if chunks is None:
            chunks = self.projector.encode(media, digest)
            self._cache.put(digest, chunks)
        return chunks
