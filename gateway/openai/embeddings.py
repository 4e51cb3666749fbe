"""OpenAI's `/v1/embeddings` (http-api 10.4)."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.embedding.embeddings import Embeddings
from gateway.embedding.request import EmbeddingReply, EmbeddingRequest
from gateway.embedding.vectors import Vector, vector_base64, vectors_json
from gateway.errors import NO_MODEL, invalid, not_found
from gateway.golang.json import encode
from gateway.http.body import GoObject, read_object
from gateway.http.dialect import route_class
from gateway.http.embedding_input import input_texts
from gateway.http.embedding_response import EmbeddingResponse
from gateway.openai.errors import EMPTY_BODY, OPENAI_ERRORS
from gateway.openai.frames import JSON


class EmbeddingsBody(GoObject):
    """The body of `/v1/embeddings`."""

    go_type: ClassVar[str] = "EmbedRequest"
    model: str = ""
    input: Any = None
    dimensions: int = 0
    encoding_format: str = ""

    def request(self) -> EmbeddingRequest:
        """Raises GatewayError."""
        if self.input is None or self.input == []:
            raise invalid("invalid input")
        inputs = ("",) if self.input == "" else input_texts(self.input)
        if not self.model.strip():
            raise not_found(NO_MODEL)
        return EmbeddingRequest(self.model, inputs, dimensions=self.dimensions)

    def vector_writer(self) -> Callable[[Vector], bytes]:
        """Writes a vector as `encoding_format` says. Raises GatewayError for an unknown format."""
        match self.encoding_format.lower():
            case "" | "float":
                return lambda vector: vectors_json([vector])[1:-1]
            case "base64":
                return lambda vector: encode(vector_base64(vector))
            case _:
                supported = "Supported values: ['float', 'base64']."
                raise invalid(f"Invalid value for 'encoding_format' = {self.encoding_format}. {supported}")


def openai_embedding_router(embeddings: Embeddings, max_body: int) -> APIRouter:
    """The route. `max_body` is in bytes."""
    router = APIRouter(prefix="/v1", route_class=route_class(OPENAI_ERRORS))

    @router.post("/embeddings")
    async def embed(request: Request) -> Response:
        body = await read_object(EmbeddingsBody, request, max_body, empty=EMPTY_BODY)
        write = partial(write_list, body.model, body.vector_writer())
        return EmbeddingResponse(embeddings, body.request(), write, JSON)

    return router


def write_list(model: str, write_vector: Callable[[Vector], bytes], reply: EmbeddingReply) -> bytes:
    """The reply of `/v1/embeddings`."""
    data = b",".join(
        b'{"object":"embedding","embedding":%b,"index":%d}' % (write_vector(vector), index)
        for index, vector in enumerate(reply.vectors)
    )
    usage = {"prompt_tokens": reply.prompt_eval_count, "total_tokens": reply.prompt_eval_count}
    return b'{"object":"list","data":[%b],"model":%b,"usage":%b}' % (data, encode(model), encode(usage))
