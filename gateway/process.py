"""One gateway process: its links to the other processes, its HTTP server, its health."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator

import uvicorn

from gateway.app import Services, create_app
from gateway.embedding.embeddings import Embeddings
from gateway.generation.options_resolver import OptionsResolver
from gateway.generation.pipeline import GenerationPipeline
from gateway.http.connection_limits import bounded_protocol
from gateway.links.scheduler import SchedulerLink
from gateway.links.store import StoreLink
from gateway.links.token_stream import TokenStream
from gateway.links.works import Works
from gateway.prompt.builder import PromptBuilder
from gateway.prompt.templates.renderer import TemplateRenderer
from gateway.prompt.tokenizer import Tokenizers
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
    renderer = TemplateRenderer(settings)
    async with open_channel(endpoints.scheduler) as scheduler_channel, open_channel(endpoints.store) as store_channel:
        scheduler = SchedulerLink(scheduler_channel, tokens, works, settings)
        store = StoreLink(store_channel, settings)
        tokenizers, options = Tokenizers(settings), OptionsResolver(scheduler, settings)
        prompts = PromptBuilder(renderer, tokenizers)
        tokens.open()
        renderer.start()
        watcher = asyncio.create_task(scheduler.watch())
        server = await start_server(
            endpoints.gateway(index), lambda server: serving_pb2_grpc.add_WorksServicer_to_server(works, server)
        )
        try:
            yield Services(
                store=store,
                scheduler=scheduler,
                generations=GenerationPipeline(settings, store, scheduler, prompts, options),
                embeddings=Embeddings(store, scheduler, tokenizers, options, settings),
            )
        finally:
            await server.stop(None)
            watcher.cancel()
            await asyncio.wait((watcher,))
            await renderer.close()
            tokens.close()


async def run_gateway(index: int, settings: Settings, stop: asyncio.Event) -> None:
    """Serves until `stop` is set, then lets open requests finish for a while."""
    endpoints = Endpoints.from_environment()
    listener = _listener()
    async with open_services(settings, endpoints, index) as services:
        server = uvicorn.Server(_server_config(services, settings))
        await _serve_until(stop, server, listener)


def _listener() -> socket.socket:
    """The listening socket. Template processes do not inherit it: they run what clients send."""
    listener = socket.socket(fileno=int(os.environ[LISTEN_VARIABLE]))
    listener.set_inheritable(False)
    return listener


def _server_config(services: Services, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(services, settings),
        loop="none",  # the loop runs already
        http=bounded_protocol(settings.max_header),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=settings.listen_backlog,
        timeout_graceful_shutdown=max(int(STOP_SHARE * seconds(settings.stop_timeout_ns)), 1),
    )


async def _serve_until(stop: asyncio.Event, server: uvicorn.Server, listener: socket.socket) -> None:
    """Runs uvicorn without its signal handlers: the process has its own."""
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving
