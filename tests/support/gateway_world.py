"""A gateway between a store and a scheduler that the test plays. Sockets, gRPC and ZeroMQ are real."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import zmq
from starlette.types import ASGIApp, Message

from gateway.app import create_app
from gateway.links.scheduler import SchedulerLink
from gateway.process import open_services
from remuda.endpoints import Endpoints
from remuda.rpc import start_server
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc, store_pb2, store_pb2_grpc, wire_pb2
from support.paths import CRIA

CHAT_TEMPLATE = (CRIA.parent / "cria" / "template.jinja").read_text()
BASE = "http://127.0.0.1:11434"

BUNDLE = store_pb2.Bundle(
    name="cria:latest",
    full_name="registry.ollama.ai/library/cria:latest",
    digest="d" * 64,
    model_digest="a" * 64,
    model_path=str(CRIA),
    chat_template=store_pb2.ChatTemplate(language=store_pb2.TEMPLATE_LANGUAGE_JINJA, text=CHAT_TEMPLATE),
    params_json='{"stop": ["###"], "temperature": 0.5}',
    capabilities=["completion", "tools", "thinking"],
    details=store_pb2.Details(family="llama", context_length=4096),
)

USAGE = pb.Usage(prompt_tokens=12, cached_tokens=4, completion_tokens=3, prefill_ns=5, decode_ns=7)
STOP = pb.Finished(reason=pb.FINISH_REASON_STOP, usage=USAGE)
RUNNING = pb.RequestEvent(running=pb.Running(replica=1))
QUEUED = pb.RequestEvent(queued=pb.Queued(position=3))
FINISHED = pb.RequestEvent(finished=STOP)


async def drop(codes: list[grpc.StatusCode], context: Any) -> None:
    """Ends the call with the next of `codes`, if there is one."""
    if codes:
        await context.abort(codes.pop(), "dropped")


class FakeStore(store_pb2_grpc.StoreServicer):
    """A store with one model."""

    def __init__(self, bundle: store_pb2.Bundle) -> None:
        self.bundle = bundle
        self.vocabulary = store_pb2.Vocabulary(longest_token=32)
        self.resolved: asyncio.Queue[str] = asyncio.Queue()
        self.answers: asyncio.Event | None = None
        """Where it is there, nothing is resolved before it is set."""
        self.drops: list[grpc.StatusCode] = []
        """How the next calls end."""

    async def Resolve(self, request: store_pb2.ResolveRequest, context: Any) -> store_pb2.Bundle:  # noqa: N802
        self.resolved.put_nowait(request.name)
        await drop(self.drops, context)
        if self.answers is not None:
            await self.answers.wait()
        if request.name != "cria":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such model")
        return self.bundle

    async def Show(self, request: store_pb2.ShowRequest, context: Any) -> store_pb2.ShowReply:  # noqa: N802
        await drop(self.drops, context)
        return store_pb2.ShowReply()

    async def Try(self, request: store_pb2.TryRequest, context: Any) -> store_pb2.Vocabulary:  # noqa: N802
        return self.vocabulary

    async def List(self, request: store_pb2.ListRequest, context: Any) -> store_pb2.ListReply:  # noqa: N802
        await drop(self.drops, context)
        return store_pb2.ListReply()


class FakeScheduler(serving_pb2_grpc.SchedulerServicer):
    """Hands every submission to the test, and answers with the events that the test puts into `events`."""

    def __init__(self) -> None:
        self.submitted: asyncio.Queue[pb.SubmitRequest] = asyncio.Queue()
        self.cancelled: asyncio.Queue[int] = asyncio.Queue()
        self.events: asyncio.Queue[pb.RequestEvent] = asyncio.Queue()
        self.unloaded: list[str] = []
        self.drops: list[grpc.StatusCode] = []
        """How the next calls end."""

    async def Submit(self, request: pb.SubmitRequest, context: Any) -> AsyncGenerator[pb.RequestEvent]:  # noqa: N802
        await drop(self.drops, context)
        self.submitted.put_nowait(request)
        ended = False
        try:
            while not ended:
                event = await self.events.get()
                ended = event.WhichOneof("event") in ("finished", "lost", "rejected")
                yield event
        finally:
            if not ended:
                self.cancelled.put_nowait(request.request_id)

    async def Cancel(self, request: pb.CancelRequest, context: Any) -> pb.CancelReply:  # noqa: N802
        self.cancelled.put_nowait(request.request_id)
        return pb.CancelReply()

    async def Load(self, request: pb.LoadRequest, context: Any) -> pb.LoadReply:  # noqa: N802
        await drop(self.drops, context)
        return pb.LoadReply(load_ns=1)

    async def Unload(self, request: pb.UnloadRequest, context: Any) -> pb.UnloadReply:  # noqa: N802
        await drop(self.drops, context)
        self.unloaded.append(request.model_path)
        return pb.UnloadReply()

    async def Residents(self, request: pb.ResidentsRequest, context: Any) -> pb.ResidentsReply:  # noqa: N802
        await drop(self.drops, context)
        return pb.ResidentsReply()

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncGenerator[pb.SchedulerState]:  # noqa: N802
        yield pb.SchedulerState(devices=[pb.Device(id=pb.DeviceId(kind=pb.DEVICE_KIND_CPU), memory_total=1)])
        await asyncio.Event().wait()


@dataclass
class World:
    """The gateway and its surroundings."""

    app: ASGIApp
    scheduler_link: SchedulerLink
    endpoints: Endpoints
    scheduler: FakeScheduler
    store: FakeStore
    scheduler_server: grpc.aio.Server
    store_server: grpc.aio.Server
    context: "zmq.Context[zmq.Socket[bytes]]" = field(default_factory=zmq.Context)

    def __post_init__(self) -> None:
        self.worker = self.context.socket(zmq.PUSH)
        self.worker.linger = 0
        self.worker.connect(self.endpoints.tokens(0))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE)

    def push(self, request: pb.SubmitRequest, *texts: str, finished: pb.Finished | None = None) -> None:
        """Sends token pieces as a worker does, in one frame; the last piece carries `finished`."""
        pieces = [
            wire_pb2.TokenPiece(request_id=request.request_id, attempt=request.attempt, tokens=[1], text=text)
            for text in texts
        ]
        if finished:
            pieces[-1].finished.CopyFrom(finished)
        self.worker.send(wire_pb2.TokenFrame(pieces=pieces).SerializeToString())

    async def running(self) -> pb.SubmitRequest:
        """The next submission, which gets its event `running`."""
        request = await self.scheduler.submitted.get()
        self.scheduler.events.put_nowait(RUNNING)
        return request

    async def restart_scheduler(self) -> None:
        """Kills the scheduler and starts another one."""
        await self.scheduler_server.stop(None)
        self.scheduler_server = await start_scheduler(self.endpoints, self.scheduler)

    def close(self) -> None:
        self.worker.close()
        self.context.term()


async def start_scheduler(endpoints: Endpoints, scheduler: FakeScheduler) -> grpc.aio.Server:
    def register(server: grpc.aio.Server) -> None:
        serving_pb2_grpc.add_SchedulerServicer_to_server(scheduler, server)

    return await start_server(endpoints.scheduler, register)


async def start_store(endpoints: Endpoints, store: FakeStore) -> grpc.aio.Server:
    def register(server: grpc.aio.Server) -> None:
        store_pb2_grpc.add_StoreServicer_to_server(store, server)

    return await start_server(endpoints.store, register)


@contextlib.asynccontextmanager
async def world_in(folder: Path, bundle: store_pb2.Bundle = BUNDLE) -> AsyncGenerator[World]:
    """A world whose sockets lie in `folder`."""
    endpoints, scheduler, store = Endpoints(folder), FakeScheduler(), FakeStore(bundle)
    servers = [await start_scheduler(endpoints, scheduler), await start_store(endpoints, store)]
    settings = Settings()
    async with open_services(settings, endpoints, 0) as services:
        world = World(create_app(services, settings), services.scheduler, endpoints, scheduler, store, *servers)
        yield world
        await world.client.aclose()
        world.close()
    await world.scheduler_server.stop(None)
    await world.store_server.stop(None)


@dataclass
class Call:
    """One HTTP request whose client can leave, and whose chunks the test sees one by one."""

    app: ASGIApp
    path: str
    body: dict[str, Any]
    status: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    reads: asyncio.Event | None = None
    """Until it is set, nothing after the first chunk is read."""
    chunks: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    async def run(self) -> None:
        headers = [(b"host", b"localhost")]
        scope = {"type": "http", "method": "POST", "path": self.path, "query_string": b"", "headers": headers}
        is_read = False

        async def receive() -> Message:
            nonlocal is_read
            if is_read:
                await self.left.wait()
                return {"type": "http.disconnect"}
            is_read = True
            return {"type": "http.request", "body": json.dumps(self.body).encode()}

        async def send(message: Message) -> None:
            self.status = message.get("status", self.status)
            if message.get("body"):
                self.chunks.put_nowait(message["body"])
                if self.reads is not None:
                    await self.reads.wait()

        await self.app(scope, receive, send)

    async def chunk(self) -> Any:
        """The next chunk as JSON."""
        return json.loads(await self.chunks.get())
