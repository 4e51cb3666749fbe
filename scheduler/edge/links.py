"""ZeroMQ to worker hosts and workers: one ROUTER socket. Frames become events, commands become frames.

A peer's identity is "host:NAME" or "worker:NUMBER". Frames that do not parse are dropped with a log line.
"""

from collections.abc import Callable, Iterator

import zmq
import zmq.asyncio
from google.protobuf.message import DecodeError

from remuda.logs import get_logger
from remuda.v1 import wire_pb2 as wire
from remuda.zeromq import bind_private
from scheduler import commands, events
from scheduler.events import Event
from scheduler.model import RequestKey

log = get_logger()


class Links:
    """The scheduler's end of all host and worker connections."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        # a peer that comes back under the same identity takes over from its dead connection
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self._socket.setsockopt(zmq.LINGER, 0)
        bind_private(self._socket, endpoint)

    async def receive(self, handle: Callable[[Event], None]) -> None:
        """Hands every message to `handle`, for ever."""
        while True:
            identity, *payload = await self._socket.recv_multipart()
            try:
                kind, _, name = identity.decode().partition(":")
                uplink = wire.Uplink.FromString(b"".join(payload))
                received = list(_from_host(name, uplink) if kind == "host" else _from_worker(_number(name), uplink))
            except (DecodeError, UnicodeDecodeError, ValueError) as error:
                log.warning("unreadable message dropped", peer=repr(identity), error=str(error))
                continue
            for event in received:
                handle(event)

    def send(self, command: commands.Command) -> None:
        """Sends a command to its host or worker. That a peer is gone is told by its host's report alone."""
        match command:
            case commands.StartWorker(replica, incarnation):
                start = wire.StartWorker(
                    worker=replica.id,
                    model=replica.spec,
                    placement=replica.placement,
                    slots=replica.slots,
                    incarnation=incarnation,
                )
                self._to(f"host:{replica.host}", wire.Downlink(start_worker=start))
            case commands.StopWorker(host, replica_id):
                self._to(f"host:{host}", wire.Downlink(stop_worker=wire.StopWorker(worker=replica_id)))
            case commands.Identify(replica_id):
                self._to(f"worker:{replica_id}", wire.Downlink(identify=wire.Identify()))
            case commands.IdentifyHost(host):
                self._to(f"host:{host}", wire.Downlink(identify=wire.Identify()))
            case commands.Measure(host, number, spec, slots):
                self._to(f"host:{host}", wire.Downlink(measure=wire.Measure(id=number, model=spec, slots=slots)))
            case commands.Run(replica_id, request):
                run = wire.Run(
                    request_id=request.key.request_id,
                    attempt=request.key.attempt,
                    gateway=request.gateway,
                    work=request.work,
                )
                self._to(f"worker:{replica_id}", wire.Downlink(run=run))
            case commands.CancelRun(replica_id, key):
                cancel = wire.Cancel(request_id=key.request_id, attempt=key.attempt)
                self._to(f"worker:{replica_id}", wire.Downlink(cancel=cancel))
            case commands.Notify():
                raise ValueError("a notice goes to the submitter, not to a peer")

    def close(self) -> None:
        self._context.destroy(linger=0)

    def _to(self, identity: str, message: wire.Downlink) -> None:
        # a ROUTER drops what has no peer and never blocks, so the future is done at once
        self._socket.send_multipart([identity.encode(), message.SerializeToString()])  # pyright: ignore[reportUnknownMemberType]


def _number(name: str) -> int:
    number = int(name)
    if not 0 <= number < 1 << 64:
        raise ValueError(f"{name} is no worker's number")
    return number


def _from_host(host: str, uplink: wire.Uplink) -> Iterator[Event]:
    match uplink.WhichOneof("message"):
        case "host_hello":
            hello = uplink.host_hello
            yield events.HostJoined(host, hello.incarnation, tuple(hello.devices), frozenset(hello.workers))
        case "host_status":
            yield events.HostReported(host, tuple(uplink.host_status.devices))
        case "worker_exited":
            exited = uplink.worker_exited
            yield events.WorkerExited(exited.worker, exited.reason, host, tuple(exited.devices))
        case "measured":
            measured = uplink.measured
            yield events.Measured(measured.id, tuple(measured.footprints), measured.error)
        case other:
            raise ValueError(f"a host does not send {other}")


def _from_worker(worker: int, uplink: wire.Uplink) -> Iterator[Event]:
    match uplink.WhichOneof("message"):
        case "worker_loading":
            yield events.WorkerLoading(worker, uplink.worker_loading.fraction)
        case "worker_ready":
            yield _ready(worker, uplink.worker_ready)
        case "worker_failed":
            yield events.WorkerFailed(worker, uplink.worker_failed.error)
        case "request_finished":
            message = uplink.request_finished
            yield events.RequestFinished(worker, RequestKey(message.request_id, message.attempt), message.finished)
        case "worker_stats":
            yield events.WorkerReported(worker, uplink.worker_stats)
        case other:
            raise ValueError(f"a worker does not send {other}")


def _ready(worker: int, message: wire.WorkerReady) -> events.WorkerReady:
    return events.WorkerReady(
        replica=worker,
        placement=message.placement,
        spec=message.model,
        slots=message.slots,
        num_ctx=message.num_ctx,
        size=message.size,
        size_vram=message.size_vram,
        active=frozenset(RequestKey(active.request_id, active.attempt) for active in message.active),
    )
