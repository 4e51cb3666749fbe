"""The routes under `/v1`."""

import secrets
from collections.abc import Mapping
from typing import Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import GatewayError, not_implemented, status_of
from gateway.golang.json import encode
from gateway.golang.times import NANOSECONDS_PER_SECOND
from gateway.http.body import read_object
from gateway.http.responses import GenerationResponse, Generator
from gateway.openai.chat.writer import ChatWriter
from gateway.openai.completions.choices import ChoicesResponse
from gateway.openai.completions.writer import CompletionWriter
from gateway.openai.frames import JSON
from gateway.openai.schema import ChatCompletionRequest, CompletionRequest
from remuda.v1 import store_pb2

EMPTY_BODY = "EOF"


class ModelSource(Protocol):
    """What tells the installed models (`gateway.links.store.StoreLink`)."""

    async def models(self) -> list[store_pb2.ModelSummary]: ...

    async def show(self, name: str, *, verbose: bool) -> store_pb2.ShowReply: ...


def openai_router(serving: Generator, store: ModelSource, max_body: int, max_prompts: int) -> APIRouter:
    """All of `/v1`; `max_body` is in bytes, `max_prompts` those of one request for completions."""
    router = APIRouter(prefix="/v1")
    _add_models(router, store)
    _add_completions(router, serving, max_body, max_prompts)
    _add_absent(router)
    return router


def _add_completions(router: APIRouter, serving: Generator, max_body: int, max_prompts: int) -> None:
    async def chat_completions(request: Request) -> Response:
        body = await read_object(ChatCompletionRequest, request, max_body, empty=EMPTY_BODY)
        writer = ChatWriter(body.model, include_usage=body.stream_options.include_usage)
        return GenerationResponse(serving, body.generation(), writer, stream=body.stream)

    async def completions(request: Request) -> Response:
        body = await read_object(CompletionRequest, request, max_body, empty=EMPTY_BODY)
        generations = body.generations(max_prompts)
        include_usage = body.stream_options.include_usage
        writer = CompletionWriter(body.model, include_usage=include_usage, choices=len(generations))
        if len(generations) > 1:
            return ChoicesResponse(serving, generations, writer, stream=body.stream)
        return GenerationResponse(serving, generations[0], writer, stream=body.stream)

    router.add_api_route("/chat/completions", chat_completions, methods=["POST"])
    router.add_api_route("/completions", completions, methods=["POST"])


def _add_models(router: APIRouter, store: ModelSource) -> None:
    async def list_models() -> Response:
        models = [_model(model.name, model.modified_at_ns, model.namespace) for model in await store.models()]
        return _json({"object": "list", "data": models or None})

    async def retrieve_model(model: str) -> Response:
        reply = await store.show(model, verbose=False)
        namespace = reply.bundle.full_name.split("/")[1]
        return _json(_model(model, reply.modified_at_ns, namespace))

    router.add_api_route("/models", list_models, methods=["GET"])
    router.add_api_route("/models/{model}", retrieve_model, methods=["GET"])


def _model(name: str, modified_at_ns: int, namespace: str) -> dict[str, object]:
    created = modified_at_ns // NANOSECONDS_PER_SECOND
    return {"id": name, "object": "model", "created": created, "owned_by": namespace}


def _add_absent(router: APIRouter) -> None:
    """What comes later says so, in its own dialect."""

    async def absent(request: Request) -> Response:
        raise not_implemented(f"{request.url.path} is")

    async def absent_messages(request: Request) -> Response:
        return _anthropic_error(not_implemented(f"{request.url.path} is"))

    for path in ("/audio/transcriptions", "/responses"):
        router.add_api_route(path, absent, methods=["POST"])
    router.add_api_route("/messages", absent_messages, methods=["POST"])


def _anthropic_error(error: GatewayError) -> Response:
    body = {
        "type": "error",
        "error": {"type": "api_error", "message": error.message},
        "request_id": f"req_{secrets.token_hex(12)}",
    }
    return _json(body, status_of(error))


def _json(body: Mapping[str, object], status: int = 200) -> Response:
    return Response(encode(body), status, media_type=JSON)
