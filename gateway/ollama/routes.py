"""Ollama's routes."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.errors import invalid, not_implemented
from gateway.generation.pipeline import Serving
from gateway.golang.json import encode
from gateway.http.body import read_object
from gateway.http.responses import JSON, GenerationResponse
from gateway.ollama import listings
from gateway.ollama.schema import ChatRequest, GenerateRequest, ShowRequest
from gateway.ollama.writers import ChatWriter, GenerateWriter
from remuda.settings import Settings

OLLAMA_API_VERSION = "0.18.0"
"""The Ollama release whose interface this is: clients compare it to decide which features to use."""

COPILOT_AGENT = "GitHubCopilotChat/"

LATER = (
    ("POST", "/api/create", "creating models is"),
    ("HEAD", "/api/blobs/{digest}", "uploading blobs is"),
    ("POST", "/api/blobs/{digest}", "uploading blobs is"),
    ("POST", "/api/copy", "copying models is"),
    ("DELETE", "/api/delete", "deleting models is"),
    ("POST", "/api/pull", "pulling models is"),
    ("POST", "/api/push", "pushing models is"),
    ("POST", "/api/me", "signing in is"),
    ("POST", "/api/signout", "signing out is"),
    ("DELETE", "/api/user/keys/{key}", "signing out is"),
    ("POST", "/api/experimental/web_search", "web search is"),
    ("POST", "/api/experimental/web_fetch", "web fetch is"),
    ("GET", "/api/experimental/model-recommendations", "model recommendations are"),
)
"""Routes of Ollama that Remuda does not serve yet."""


def native_router(serving: Serving, settings: Settings) -> APIRouter:
    """All of Ollama's own routes."""
    router = APIRouter()
    _add_information(router, serving)
    _add_show(router, serving, settings)
    _add_generation(router, serving, settings)
    for method, path, what in LATER:
        router.add_api_route(path, _later(what), methods=[method])
    return router


def _add_information(router: APIRouter, serving: Serving) -> None:
    @router.api_route("/", methods=["GET", "HEAD"])
    async def root() -> Response:
        return PlainTextResponse("Ollama is running")

    @router.api_route("/api/version", methods=["GET", "HEAD"])
    async def version() -> Response:
        return _json({"version": OLLAMA_API_VERSION})

    @router.get("/api/status")
    async def status() -> Response:
        return _json({"cloud": {"disabled": True, "source": "env"}})

    @router.api_route("/api/tags", methods=["GET", "HEAD"])
    async def tags() -> Response:
        return _json({"models": [listings.tag(model) for model in await serving.store.models()]})

    @router.get("/api/ps")
    async def ps() -> Response:
        return _json({"models": listings.running(await serving.scheduler.residents())})


def _add_show(router: APIRouter, serving: Serving, settings: Settings) -> None:
    @router.post("/api/show")
    async def show(request: Request) -> Response:
        body = await read_object(ShowRequest, request, settings.max_body)
        name = body.model or body.name
        if not name.strip():
            raise invalid("model is required")
        reply = await serving.store.show(name, verbose=body.verbose)
        answer = listings.shown(reply, system=body.system)
        if request.headers.get("user-agent", "").startswith(COPILOT_AGENT):
            answer["model_info"]["general.basename"] = name
        return _json(answer)


def _add_generation(router: APIRouter, serving: Serving, settings: Settings) -> None:
    @router.post("/api/generate")
    async def generate(request: Request) -> Response:
        body = await read_object(GenerateRequest, request, settings.max_body)
        return GenerationResponse(serving, body.generation(), GenerateWriter(body.model), stream=body.stream)

    @router.post("/api/chat")
    async def chat(request: Request) -> Response:
        body = await read_object(ChatRequest, request, settings.max_body)
        return GenerationResponse(serving, body.generation(), ChatWriter(body.model), stream=body.stream)


def _later(what: str) -> Callable[[], Awaitable[Response]]:
    async def refuse() -> Response:
        raise not_implemented(what)

    return refuse


def _json(value: Any) -> Response:
    return Response(encode(value), media_type=JSON)
