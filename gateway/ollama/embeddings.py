"""Ollama's `/api/embed` and the older `/api/embeddings` (http-api 6)."""

from functools import partial
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.embedding.embeddings import Embeddings
from gateway.embedding.request import EmbeddingReply, EmbeddingRequest
from gateway.embedding.vectors import vector_json, vectors_json
from gateway.errors import NO_MODEL, ErrorKind, invalid, not_found
from gateway.golang.json import encode
from gateway.http.body import GoObject, read_object
from gateway.http.dialect import route_class
from gateway.http.embedding_input import input_texts
from gateway.http.embedding_response import EmbeddingResponse
from gateway.http.replies import JSON
from gateway.ollama.errors import OLLAMA_ERRORS
from gateway.ollama.field_types import parse_keep_alive


class EmbedBase(GoObject):
    """The fields that both bodies have."""

    model: str = ""
    options: dict[str, Any] = Field(default_factory=dict[str, Any])
    keep_alive_ns: Annotated[int | None, BeforeValidator(parse_keep_alive), Field(alias="keep_alive")] = None


class EmbedBody(EmbedBase):
    """The body of `/api/embed`."""

    go_type: ClassVar[str] = "EmbedRequest"
    input: Any = None
    truncate: bool = True
    dimensions: int = 0

    def request(self) -> EmbeddingRequest:
        """Raises GatewayError."""
        inputs = input_texts(self.input)
        if not self.model.strip():
            raise not_found(NO_MODEL)
        return EmbeddingRequest(
            self.model, inputs, self.options, self.keep_alive_ns, truncate=self.truncate, dimensions=self.dimensions
        )


class EmbeddingsBody(EmbedBase):
    """The body of `/api/embeddings`."""

    go_type: ClassVar[str] = "EmbeddingRequest"
    prompt: str = ""

    def request(self) -> EmbeddingRequest:
        """Raises GatewayError."""
        if not self.model.strip():
            raise invalid("model is required")
        inputs = (self.prompt,) if self.prompt else ()
        return EmbeddingRequest(
            self.model,
            inputs,
            self.options,
            self.keep_alive_ns,
            truncate=False,
            normalise=False,
            failure=ErrorKind.FAILED,
        )


def ollama_embedding_router(embeddings: Embeddings, max_body: int) -> APIRouter:
    """Both routes. `max_body` is in bytes."""
    router = APIRouter(prefix="/api", route_class=route_class(OLLAMA_ERRORS))

    @router.post("/embed")
    async def embed(request: Request) -> Response:
        body = await read_object(EmbedBody, request, max_body)
        return EmbeddingResponse(embeddings, body.request(), partial(write_embed, body.model), JSON)

    @router.post("/embeddings")
    async def embed_one(request: Request) -> Response:
        body = await read_object(EmbeddingsBody, request, max_body)
        return EmbeddingResponse(embeddings, body.request(), write_embedding, JSON)

    return router


def write_embed(model: str, reply: EmbeddingReply) -> bytes:
    """The reply of `/api/embed`."""
    counts = {
        "total_duration": reply.total_ns,
        "load_duration": reply.load_ns,
        "prompt_eval_count": reply.prompt_eval_count,
    }
    tail = b"".join(b',"%b":%d' % (name.encode(), count) for name, count in counts.items() if count)
    return b'{"model":%b,"embeddings":%b%b}' % (encode(model), vectors_json(reply.vectors), tail)


def write_embedding(reply: EmbeddingReply) -> bytes:
    """The reply of `/api/embeddings`."""
    return b'{"embedding":%b}' % (vector_json(reply.vectors[0]) if reply.vectors else b"[]")
