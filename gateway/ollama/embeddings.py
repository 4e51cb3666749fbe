"""Ollama's `/api/embed` and the older `/api/embeddings` (http-api 6)."""

from functools import partial
from typing import Annotated, Any, ClassVar, cast

from fastapi import APIRouter
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.embedding.embeddings import EmbeddingReply, EmbeddingRequest, Embeddings
from gateway.embedding.vectors import vector_json, vectors_json
from gateway.errors import ErrorKind, invalid, not_found
from gateway.golang.json import encode
from gateway.http.body import GoObject, read_object
from gateway.http.embedding_response import EmbeddingResponse
from gateway.http.responses import JSON
from gateway.ollama.field_types import parse_keep_alive

NO_MODEL = "model '' not found"
INVALID_INPUT = "invalid input type"


class EmbedBase(GoObject):
    """What both bodies have in common."""

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


def native_embed_router(embeddings: Embeddings, max_body: int) -> APIRouter:
    """Both routes; `max_body` is in bytes."""
    router = APIRouter(prefix="/api")

    @router.post("/embed")
    async def embed(request: Request) -> Response:
        body = await read_object(EmbedBody, request, max_body)
        return EmbeddingResponse(embeddings, body.request(), partial(write_embed, body.model), JSON)

    @router.post("/embeddings")
    async def embed_one(request: Request) -> Response:
        body = await read_object(EmbeddingsBody, request, max_body)
        return EmbeddingResponse(embeddings, body.request(), write_embedding, JSON)

    return router


def input_texts(value: Any) -> tuple[str, ...]:
    """`input`: a text or a list of texts; nothing, or an empty text alone, is none. Raises GatewayError."""
    if value is None or value == "":
        return ()
    texts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise invalid(INVALID_INPUT)
    return tuple(texts)


def write_embed(model: str, reply: EmbeddingReply) -> bytes:
    """The reply of `/api/embed`."""
    counts = {
        "total_duration": reply.total_ns,
        "load_duration": reply.load_ns,
        "prompt_eval_count": reply.prompt_eval_count,
    }
    told = b"".join(b',"%b":%d' % (name.encode(), count) for name, count in counts.items() if count)
    return b'{"model":%b,"embeddings":%b%b}' % (encode(model), vectors_json(reply.vectors), told)


def write_embedding(reply: EmbeddingReply) -> bytes:
    """The reply of `/api/embeddings`."""
    return b'{"embedding":%b}' % (vector_json(reply.vectors[0]) if reply.vectors else b"[]")
