"""The HTTP application: surfaces, middleware and error handlers put together."""

from dataclasses import dataclass

from fastapi import FastAPI
from starlette.types import ASGIApp

from gateway.anthropic.routes import anthropic_router
from gateway.embedding.embeddings import Embeddings
from gateway.errors import overloaded
from gateway.generation.pipeline import GenerationPipeline
from gateway.http.body_budget import BodyBudget, BoundedBodies
from gateway.http.compression import CompressedBodies
from gateway.http.cors import CrossOrigin, Origins
from gateway.http.dialect import install_error_handlers
from gateway.http.fallbacks import install_fallbacks
from gateway.http.host_check import HostCheck
from gateway.http.pace import Pace
from gateway.http.request_log import RequestLog
from gateway.links.scheduler import SchedulerLink
from gateway.links.store import StoreLink
from gateway.ollama.embeddings import ollama_embedding_router
from gateway.ollama.errors import OLLAMA_ERRORS
from gateway.ollama.routes import ollama_router
from gateway.openai.embeddings import openai_embedding_router
from gateway.openai.routes import openai_router
from remuda.settings import Settings
from remuda.threads import Threads


@dataclass(frozen=True, slots=True)
class Services:
    """What the surfaces call."""

    store: StoreLink
    scheduler: SchedulerLink
    generations: GenerationPipeline
    embeddings: Embeddings


def create_app(services: Services, settings: Settings) -> ASGIApp:
    """The gateway's ASGI application. Raises ValueError for unusable OLLAMA_ORIGINS."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(ollama_router(services.generations, services.store, services.scheduler, settings))
    app.include_router(openai_router(services.generations, services.store, settings.max_body, settings.max_prompts))
    app.include_router(ollama_embedding_router(services.embeddings, settings.max_body))
    app.include_router(openai_embedding_router(services.embeddings, settings.max_body))
    app.include_router(anthropic_router())
    install_error_handlers(app)
    install_fallbacks(app)
    decompressed = CompressedBodies(app, settings.max_decompressed, OLLAMA_ERRORS)
    guarded = HostCheck(decompressed, settings.address.host, settings.allowed_hosts, OLLAMA_ERRORS)
    threads = Threads("bodies", settings.blocking_threads, settings.blocking_queue, overloaded)
    bounded = BoundedBodies(guarded, Pace.of(settings), BodyBudget(settings.max_bodies), threads)
    return RequestLog(CrossOrigin(bounded, Origins.of(settings.origins)), OLLAMA_ERRORS)
