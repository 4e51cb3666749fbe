"""The HTTP application: routers, middleware and error handlers put together."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from gateway.embedding.embeddings import Embeddings
from gateway.errors import GatewayError, on_api_error, on_unexpected
from gateway.generation.pipeline import Serving
from gateway.http.compression import CompressedBodies
from gateway.http.cors import CrossOrigin, Origins
from gateway.http.fallbacks import install_fallbacks
from gateway.http.host_check import HostCheck
from gateway.http.request_log import RequestLog
from gateway.ollama.embeddings import native_embed_router
from gateway.ollama.routes import native_router
from gateway.openai.embeddings import openai_embed_router
from gateway.openai.routes import openai_router
from remuda.settings import Settings


def create_app(serving: Serving, settings: Settings) -> ASGIApp:
    """The gateway's ASGI application. Raises ValueError for unusable OLLAMA_ORIGINS."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(native_router(serving, settings))
    app.include_router(openai_router(serving, serving.store, settings.max_body, settings.max_prompts))
    embeddings = Embeddings(serving, settings)
    app.include_router(native_embed_router(embeddings, settings.max_body))
    app.include_router(openai_embed_router(embeddings, settings.max_body))
    app.add_exception_handler(GatewayError, on_api_error)
    app.add_exception_handler(Exception, on_unexpected)
    install_fallbacks(app)
    guarded = HostCheck(CompressedBodies(app, settings.max_decompressed), settings.address.host)
    return RequestLog(CrossOrigin(guarded, Origins.of(settings.origins)))
