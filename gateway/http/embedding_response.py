"""Embeddings as an HTTP response."""

from collections.abc import Callable

from starlette.types import Send

from gateway.embedding.embeddings import EmbeddingReply, EmbeddingRequest, Embeddings
from gateway.generation.record import RequestRecord
from gateway.http.responses import RunResponse, send_whole


class EmbeddingResponse(RunResponse):
    """Runs an embedding request and sends what `write` makes of its reply."""

    def __init__(
        self,
        embeddings: Embeddings,
        asked: EmbeddingRequest,
        write: Callable[[EmbeddingReply], bytes],
        content_type: str,
    ) -> None:
        super().__init__(asked.model)
        self._embeddings = embeddings
        self._asked = asked
        self._write = write
        self._content_type = content_type

    async def _run(self, record: RequestRecord, send: Send) -> None:
        reply = await self._embeddings.embed(self._asked, record)
        await send_whole(self._write(reply), self._content_type, send)
