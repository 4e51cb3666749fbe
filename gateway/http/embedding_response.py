"""Embeddings as an HTTP response."""

from collections.abc import Callable

from starlette.types import Send

from gateway.embedding.embeddings import Embeddings
from gateway.embedding.request import EmbeddingReply, EmbeddingRequest
from gateway.generation.connection import ClientConnection
from gateway.generation.record import RequestRecord
from gateway.http.replies import send_whole
from gateway.http.run_response import RunResponse


class EmbeddingResponse(RunResponse):
    """Runs an embedding request and sends its reply, which `write` turns into bytes."""

    def __init__(
        self,
        embeddings: Embeddings,
        request: EmbeddingRequest,
        write: Callable[[EmbeddingReply], bytes],
        content_type: str,
    ) -> None:
        super().__init__(request.model)
        self._embeddings = embeddings
        self._request = request
        self._write = write
        self._content_type = content_type

    async def _run(self, connection: ClientConnection, record: RequestRecord, send: Send) -> None:
        reply = await self._embeddings.embed(self._request, connection, record)
        await send_whole(self._write(reply), self._content_type, send)
