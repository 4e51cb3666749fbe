"""One gateway process: its links to the other processes, its HTTP server, its health."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from gateway.app import Services, create_app
from gateway.embedding.embeddings import Embeddings
from gateway.errors import CONNECTIONS_FULL, busy
from gateway.generation.options_resolver import OptionsResolver
from gateway.generation.pipeline import GenerationPipeline
from gateway.http.connection_limits import ConnectionLimits
from gateway.http.protocol import bounded_protocol
from gateway.links.scheduler import SchedulerLink
from gateway.links.store import StoreLink
from gateway.links.token_stream import TokenStream
from gateway.links.works import Works
from gateway.ollama.errors import OLLAMA_ERRORS
from gateway.prompt.builder import PromptBuilder
from gateway.prompt.templates.renderers import Renderers
from gateway.prompt.vocabulary.vocabularies import Vocabularies
from remuda.durations import seconds
from remuda.endpoints import LISTEN_VARIABLE, Endpoints
from remuda.rpc import open_channel, start_server
from remuda.settings import Settings
from remuda.v1 import serving_pb2_grpc

STOP_SHARE = 0.25
"""Part of the stop time-out in which open requests may finish. Gateways have half of it, closing included."""


@contextlib.asynccontextmanager
async def open_services(settings: Settings, endpoints: Endpoints, index: int) -> AsyncGenerator[Services]:
    """Opens and closes all that the surfaces call, and this gateway's own gRPC server."""
    tokens = TokenStream(endpoints.tokens(index))
    works = Works(endpoints.gateway(index), settings.inline_work)
    renderers = Renderers(settings)
    async with open_channel(endpoints.scheduler) as scheduler_channel, open_channel(endpoints.store) as store_channel:
        scheduler = SchedulerLink(scheduler_channel, tokens, works, settings)
        store = StoreLink(store_channel, settings)
        vocabularies, options = Vocabularies(store, settings), OptionsResolver(scheduler, settings)
        prompts = PromptBuilder(renderers, vocabularies)
        tokens.open()
        renderers.start()
        watchers = asyncio.create_task(scheduler.watch()), asyncio.create_task(store.watch())
        server = await start_server(
            endpoints.gateway(index), lambda server: serving_pb2_grpc.add_WorksServicer_to_server(works, server)
        )
        generations = GenerationPipeline(settings, store, scheduler, prompts, options)
        try:
            yield Services(
                store=store,
                scheduler=scheduler,
                generations=generations,
                embeddings=Embeddings(store, scheduler, vocabularies, options, settings),
            )
        finally:
            await server.stop(None)
            for watcher in watchers:
                watcher.cancel()
            await asyncio.wait(watchers)
            await asyncio.gather(renderers.close(), vocabularies.close(), generations.close())
            tokens.close()


async def run_gateway(index: int, settings: Settings, stop: asyncio.Event) -> None:
    """Serves until `stop` is set, then lets open requests finish for a while."""
    endpoints = Endpoints.from_environment()
    listener = _listener()
    async with open_services(settings, endpoints, index) as services:
        await serve_until(stop, http_server(create_app(services, settings), settings), listener)


def _listener() -> socket.socket:
    """The listening socket. Template processes do not inherit it: they run what clients send."""
    listener = socket.socket(fileno=int(os.environ[LISTEN_VARIABLE]))
    listener.set_inheritable(False)
    return listener


def http_server(app: ASGIApp, settings: Settings) -> uvicorn.Server:
    """The HTTP server of `app`, which does not listen yet."""
    protocol = bounded_protocol(ConnectionLimits.of(settings), OLLAMA_ERRORS.response(busy(CONNECTIONS_FULL)))
    config = uvicorn.Config(
        app,
        loop="none",  # the loop runs already
        http=cast(Any, protocol),  # uvicorn calls it as it would a class
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=settings.listen_backlog,
        timeout_graceful_shutdown=max(int(STOP_SHARE * seconds(settings.stop_timeout_ns)), 1),
    )
    return uvicorn.Server(config)


async def serve_until(stop: asyncio.Event, server: uvicorn.Server, listener: socket.socket) -> None:
    """Runs uvicorn until `stop` is set, without its signal handlers: the process has its own."""
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving
