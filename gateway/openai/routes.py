"""OpenAI's routes under `/v1`, except `/v1/embeddings`."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import not_implemented
from gateway.http.body import read_object
from gateway.http.dialect import route_class
from gateway.http.generation_response import GenerationResponse, Generator
from gateway.openai.chat.request import ChatCompletionRequest
from gateway.openai.chat.writer import ChatWriter
from gateway.openai.completions.choices import ChoicesResponse
from gateway.openai.completions.request import CompletionRequest
from gateway.openai.completions.writer import CompletionWriter
from gateway.openai.errors import EMPTY_BODY, OPENAI_ERRORS
from gateway.openai.models import ModelSource, add_model_routes

LATER = ("/audio/transcriptions", "/responses")
"""Routes of Ollama that Remuda does not serve yet."""


def openai_router(generator: Generator, store: ModelSource, max_body: int, max_prompts: int) -> APIRouter:
    """All routes of this file. `max_body` is in bytes, `max_prompts` the prompts of one request for completions."""
    router = APIRouter(prefix="/v1", route_class=route_class(OPENAI_ERRORS))
    add_model_routes(router, store)
    _add_chat(router, generator, max_body)
    _add_completions(router, generator, max_body, max_prompts)
    for path in LATER:
        router.add_api_route(path, _refuse, methods=["POST"])
    return router


def _add_chat(router: APIRouter, generator: Generator, max_body: int) -> None:
    @router.post("/chat/completions")
    async def chat_completions(request: Request) -> Response:
        body = await read_object(ChatCompletionRequest, request, max_body, empty=EMPTY_BODY)
        writer = ChatWriter(body.model, include_usage=body.stream_options.include_usage)
        return GenerationResponse(generator, body.generation(), writer, stream=body.stream)


def _add_completions(router: APIRouter, generator: Generator, max_body: int, max_prompts: int) -> None:
    @router.post("/completions")
    async def completions(request: Request) -> Response:
        body = await read_object(CompletionRequest, request, max_body, empty=EMPTY_BODY)
        generations = body.generations(max_prompts)
        include_usage = body.stream_options.include_usage
        writer = CompletionWriter(body.model, include_usage=include_usage, choices=len(generations))
        if len(generations) > 1:
            return ChoicesResponse(generator, generations, writer, stream=body.stream)
        return GenerationResponse(generator, generations[0], writer, stream=body.stream)


async def _refuse(request: Request) -> Response:
    raise not_implemented(f"{request.url.path} is")
