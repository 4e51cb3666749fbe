"""Ollama's own routes, except those of embeddings."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.errors import invalid, not_implemented
from gateway.golang.json import encode
from gateway.http.body import read_object
from gateway.http.dialect import route_class
from gateway.http.generation_response import GenerationResponse, Generator
from gateway.http.replies import JSON
from gateway.links.scheduler import SchedulerLink
from gateway.links.store import StoreLink
from gateway.ollama import listings
from gateway.ollama.errors import OLLAMA_ERRORS
from gateway.ollama.requests import ChatRequest, GenerateRequest, ShowRequest
from gateway.ollama.writers import ChatWriter, GenerateWriter
from remuda.settings import Settings

OLLAMA_API_VERSION = "0.18.0"
"""The Ollama release whose interface this is. Clients choose their features by it."""

COPILOT_AGENT = "GitHubCopilotChat/"
"""Its user agent begins so. For it, `/api/show` repeats the model's name as `general.basename`."""

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
"""Routes of Ollama that Remuda does not serve yet: method, path, and how the sentence of their error begins."""


def ollama_router(generator: Generator, store: StoreLink, scheduler: SchedulerLink, settings: Settings) -> APIRouter:
    """All routes of this file."""
    router = APIRouter(route_class=route_class(OLLAMA_ERRORS))
    _add_information(router, store, scheduler)
    _add_show(router, store, settings)
    _add_generation(router, generator, settings.max_body)
    for method, path, what in LATER:
        router.add_api_route(path, _later(what), methods=[method])
    return router


def _add_information(router: APIRouter, store: StoreLink, scheduler: SchedulerLink) -> None:
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
        return _json({"models": [listings.tag(model) for model in await store.models()]})

    @router.get("/api/ps")
    async def ps() -> Response:
        return _json({"models": listings.running(await scheduler.residents())})


def _add_show(router: APIRouter, store: StoreLink, settings: Settings) -> None:
    @router.post("/api/show")
    async def show(request: Request) -> Response:
        body = await read_object(ShowRequest, request, settings.max_body)
        name = body.model or body.name
        if not name.strip():
            raise invalid("model is required")
        reply = await store.show(name, verbose=body.verbose)
        answer = listings.model_description(reply, system=body.system)
        if request.headers.get("user-agent", "").startswith(COPILOT_AGENT):
            answer["model_info"]["general.basename"] = name
        return _json(answer)


def _add_generation(router: APIRouter, generator: Generator, max_body: int) -> None:
    @router.post("/api/generate")
    async def generate(request: Request) -> Response:
        body = await read_object(GenerateRequest, request, max_body)
        return GenerationResponse(generator, body.generation(), GenerateWriter(body.model), stream=body.stream)

    @router.post("/api/chat")
    async def chat(request: Request) -> Response:
        body = await read_object(ChatRequest, request, max_body)
        return GenerationResponse(generator, body.generation(), ChatWriter(body.model), stream=body.stream)


def _later(what: str) -> Callable[[], Awaitable[Response]]:
    async def refuse() -> Response:
        raise not_implemented(what)

    return refuse


def _json(value: Any) -> Response:
    return Response(encode(value), media_type=JSON)
