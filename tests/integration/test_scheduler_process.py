"""The scheduler as a process. It speaks gRPC with the test, and ZeroMQ with a host and a worker of plain sockets."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
import zmq
import zmq.asyncio
from support.footprints import footprints

from remuda.endpoints import Endpoints
from remuda.rpc import open_channel
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc
from remuda.v1 import wire_pb2 as wire

TIMEOUT_S = 10
MEMORY = 1 << 30
CPU = pb.DeviceId(kind=pb.DEVICE_KIND_CPU)
PLACEMENT = pb.Placement(host="h", devices=[CPU])
WORK = pb.WorkSource(kept=pb.KeptWork(target="unix:/g", size=9))
SPEC = pb.ModelSpec(name="m", model_path="/m", options=pb.LoadOptions(num_ctx=64, num_gpu=-1))


class Peer:
    """A host or a worker as the scheduler sees it."""

    def __init__(self, context: zmq.asyncio.Context, endpoint: str, identity: str) -> None:
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, identity.encode())
        self._socket.connect(endpoint)

    def close(self) -> None:
        self._socket.close(linger=0)

    async def say(self, **message: object) -> None:
        await self.send(wire.Uplink(**message).SerializeToString())  # pyright: ignore[reportArgumentType]

    async def send(self, *frames: bytes) -> None:
        await self._socket.send_multipart(frames)

    async def hear(self) -> wire.Downlink:
        return wire.Downlink.FromString(await asyncio.wait_for(self._socket.recv(), TIMEOUT_S))


class Scheduler:
    """A running scheduler process, its client and its peers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.endpoints = Endpoints(folder)
        environment = {"REMUDA_INSTANCE_DIR": str(folder), "REMUDA_PARENT_PID": str(os.getpid())}
        self.process = subprocess.Popen([sys.executable, "-m", "scheduler"], env=os.environ | environment)
        self.channel = open_channel(self.endpoints.scheduler)
        self.stub = serving_pb2_grpc.SchedulerStub(self.channel)
        self._context = zmq.asyncio.Context()
        self._peers: list[Peer] = []

    def peer(self, identity: str) -> Peer:
        self._peers.append(Peer(self._context, self.endpoints.uplink, identity))
        return self._peers[-1]

    def submit(self, request: int) -> "grpc.aio.UnaryStreamCall[pb.SubmitRequest, pb.RequestEvent]":
        message = pb.SubmitRequest(request_id=request, model=SPEC, gateway="g", work=WORK)
        return self.stub.Submit(message, wait_for_ready=True, timeout=TIMEOUT_S)  # pyright: ignore[reportReturnType]

    async def host(self) -> Peer:
        """A host that has joined."""
        host = self.peer("host:h")
        await host.say(
            host_hello=wire.HostHello(host="h", devices=[pb.Device(id=CPU, memory_total=MEMORY, memory_free=MEMORY)])
        )
        return host

    async def worker(self, host: Peer) -> tuple[int, Peer]:
        """The worker that the scheduler asks the host for, once it knows what that takes."""
        question = (await host.hear()).measure
        answer = wire.Measured(id=question.id, footprints=footprints(question.slots))
        await host.say(measured=answer)
        number = (await host.hear()).start_worker.worker
        return number, self.peer(f"worker:{number}")

    async def close(self) -> None:
        await self.channel.close()
        for peer in self._peers:
            peer.close()
        self._context.term()
        self.process.terminate()
        self.process.wait(TIMEOUT_S)


@pytest_asyncio.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Scheduler]:
    running = Scheduler(tmp_path)
    yield running
    await running.close()


async def next_event(call: "grpc.aio.UnaryStreamCall[pb.SubmitRequest, pb.RequestEvent]") -> pb.RequestEvent:
    event = await call.read()
    assert isinstance(event, pb.RequestEvent), "the stream ended"
    return event


async def run_one(
    scheduler: Scheduler,
) -> tuple[Peer, int, Peer, "grpc.aio.UnaryStreamCall[pb.SubmitRequest, pb.RequestEvent]"]:
    """A request that runs: its host, its worker's number, its worker, its call."""
    host = await scheduler.host()
    call = scheduler.submit(5)
    number, worker = await scheduler.worker(host)
    await worker.say(worker_ready=wire.WorkerReady(slots=1, num_ctx=64, model=SPEC, placement=PLACEMENT))
    assert (await worker.hear()).run.request_id == 5
    while not (await next_event(call)).HasField("running"):
        pass
    return host, number, worker, call


async def test_a_request_lives_from_queued_to_finished(scheduler: Scheduler) -> None:
    host = await scheduler.host()
    call = scheduler.submit(5)
    assert (await next_event(call)).queued.position == 0
    _, worker = await scheduler.worker(host)
    await worker.say(worker_loading=wire.WorkerLoading(fraction=0.5))
    assert (await next_event(call)).loading.fraction == 0.5
    await worker.say(worker_ready=wire.WorkerReady(slots=1, num_ctx=64, model=SPEC, placement=PLACEMENT))
    assert (await next_event(call)).HasField("running")
    run = (await worker.hear()).run
    assert (run.request_id, run.attempt, run.gateway, run.work) == (5, 0, "g", WORK)
    finished = pb.Finished(reason=pb.FINISH_REASON_STOP, usage=pb.Usage(completion_tokens=3))
    await worker.say(request_finished=wire.RequestFinished(request_id=5, finished=finished))
    assert (await next_event(call)).finished == finished
    assert await call.read() is grpc.aio.EOF


async def test_cancelling_the_call_cancels_the_request_on_its_worker(scheduler: Scheduler) -> None:
    _, _, worker, call = await run_one(scheduler)
    call.cancel()
    assert (await worker.hear()).cancel.request_id == 5


async def test_a_request_whose_worker_was_killed_is_reported_lost(scheduler: Scheduler) -> None:
    host, number, _, call = await run_one(scheduler)
    await host.say(worker_exited=wire.WorkerExited(worker=number, reason="signal SIGKILL"))
    assert (await next_event(call)).lost.message == "signal SIGKILL"


async def test_a_request_cannot_be_submitted_twice(scheduler: Scheduler) -> None:
    await run_one(scheduler)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await scheduler.submit(5).read()
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_garbage_is_dropped_and_the_scheduler_serves_on(scheduler: Scheduler) -> None:
    ready = wire.Uplink(
        worker_ready=wire.WorkerReady(slots=1, model=pb.ModelSpec(model_path="/other"))
    ).SerializeToString()
    stop = wire.Uplink(worker_failed=wire.WorkerFailed(error="x")).SerializeToString()
    for identity in ("host:x", "worker:1", "worker:x", "worker:-5", f"worker:{1 << 70}", "stranger", "\udcff"):
        peer = scheduler.peer(identity.encode(errors="surrogateescape").decode("latin-1"))
        for frames in ([b""], [b"\xff" * 40], [b"a", b"b"], [ready], [stop]):
            await peer.send(*frames)
    _, _, _, call = await run_one(scheduler)
    residents = await scheduler.stub.Residents(pb.ResidentsRequest(), timeout=TIMEOUT_S)
    assert "/m" in [resident.model.model_path for resident in residents.residents]
    assert scheduler.process.poll() is None
    call.cancel()


async def test_nobody_else_may_open_the_sockets(scheduler: Scheduler) -> None:
    await scheduler.host()
    await scheduler.stub.Residents(pb.ResidentsRequest(), wait_for_ready=True, timeout=TIMEOUT_S)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in scheduler.folder.iterdir()}
    assert modes == {"scheduler.grpc": 0o600, "scheduler.zmq": 0o600}


async def test_a_watcher_gets_the_state_at_once_and_after_each_change(scheduler: Scheduler) -> None:
    watch = scheduler.stub.Watch(pb.WatchRequest(), wait_for_ready=True, timeout=TIMEOUT_S)
    first = await watch.read()
    assert isinstance(first, pb.SchedulerState)
    assert not first.devices
    await scheduler.host()
    while not (state := await watch.read()).devices:  # pyright: ignore[reportAttributeAccessIssue]
        pass
    assert [device.id for device in state.devices] == [CPU]  # pyright: ignore[reportAttributeAccessIssue]
    watch.cancel()


async def test_a_model_is_loaded_listed_and_unloaded(scheduler: Scheduler) -> None:
    host = await scheduler.host()
    request = pb.LoadRequest(model=SPEC, keep_alive=pb.KeepAlive(ns=-1))
    load = asyncio.ensure_future(scheduler.stub.Load(request, wait_for_ready=True, timeout=TIMEOUT_S))
    number, worker = await scheduler.worker(host)
    ready = wire.WorkerReady(slots=2, num_ctx=64, size=9, size_vram=4, model=SPEC, placement=PLACEMENT)
    await worker.say(worker_ready=ready)
    await load
    (resident,) = (await scheduler.stub.Residents(pb.ResidentsRequest())).residents
    assert (resident.model.name, resident.slots, resident.state) == ("m", 2, "ready")
    assert (resident.size, resident.size_vram) == (9, 4)
    assert not resident.HasField("expires_at_ns")
    await scheduler.stub.Unload(pb.UnloadRequest(model_path="/m"))
    assert (await host.hear()).stop_worker.worker == number


async def test_a_failed_load_is_an_error_with_its_reason(scheduler: Scheduler) -> None:
    host = await scheduler.host()
    load = asyncio.ensure_future(
        scheduler.stub.Load(pb.LoadRequest(model=SPEC), wait_for_ready=True, timeout=TIMEOUT_S)
    )
    _, worker = await scheduler.worker(host)
    await worker.say(worker_failed=wire.WorkerFailed(error="not a GGUF file"))
    with pytest.raises(grpc.aio.AioRpcError, match="not a GGUF file") as failed:
        await load
    assert failed.value.code() is grpc.StatusCode.INTERNAL
