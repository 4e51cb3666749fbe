"""The worker's loop: messages from the scheduler into the engine, outputs to gateways and scheduler."""

import sys
import time
from collections.abc import Callable, Collection

import zmq
from google.protobuf.message import DecodeError

from remuda.devices import device_names
from remuda.durations import seconds
from remuda.endpoints import Endpoints
from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1 import wire_pb2 as wire
from workers.engine.embedding import EmbeddingJob
from workers.engine.llama import LoadError
from workers.engine.log import EngineLog
from workers.engine.model import Model
from workers.engine.runner import Output, Runner
from workers.engine.sequence import Sequence
from workers.worker.fetches import Fetches
from workers.worker.loading import Loader, Parts
from workers.worker.outbox import Outbox, finished
from workers.worker.translate import key_of, request_of, stats_of

log = get_logger()

IDLE_POLL_MS = 1
"""Pause between two steps while all requests are still being prepared."""


class Worker:
    """One process's sockets and its runner."""

    def __init__(self, start: wire.StartWorker, settings: Settings) -> None:
        self._start = start
        self._settings = settings
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._scheduler = context.socket(zmq.DEALER)
        self._scheduler.setsockopt(zmq.IDENTITY, f"worker:{start.worker}".encode())
        self._scheduler.linger = 1000  # milliseconds: the message about a failed load must leave
        self._scheduler.connect(Endpoints.from_environment().uplink)
        self._context = context
        self._fetches = Fetches(context, start.slots, seconds(settings.fetch_timeout_ns))
        self._poller = zmq.Poller()
        self._poller.register(self._scheduler, zmq.POLLIN)
        self._poller.register(self._fetches.done, zmq.POLLIN)
        self._engine_log = EngineLog(verbose=settings.debug > 0)
        self._next_stats = 0.0

    def run(self) -> None:
        """Loads the model and serves it until the process is killed."""
        try:
            model, self._runner = self._load()
        except LoadError as error:
            reason = self._engine_log.explain(str(error))
            log.error("model not loaded", error=reason)
            self._send(wire.Uplink(worker_failed=wire.WorkerFailed(error=reason)))
            self._context.destroy(linger=1000)
            sys.exit(1)
        self._outbox = Outbox(self._context, model.vocabulary.piece)
        self._runner.bind(self._meanwhile)
        self._say_ready()
        while True:
            self._receive(blocking=not self._runner.busy)
            if not self._runner.step():
                self._poller.poll(IDLE_POLL_MS)

    # ---- loading ----

    def _load(self) -> tuple[Model, Runner]:
        """Raises LoadError."""
        began = time.monotonic()
        report = self._progress_reporter()
        parts = Parts(model=lambda options: Model(options, report))
        loader = Loader(self._start, self._settings, self._engine_log, parts, self._say_ready)
        model, runner = loader.load()
        spec, elapsed = self._start.model, round(time.monotonic() - began, 3)
        log.info("model loaded", model=spec.name, device=device_names(self._start.placement.devices), seconds=elapsed)
        return model, runner

    def _progress_reporter(self) -> Callable[[float], None]:
        """Returns a callback that reports whole per cents; llama.cpp calls it for every tensor."""
        last = -1

        def report(fraction: float) -> None:
            nonlocal last
            if int(fraction * 100) > last:
                last = int(fraction * 100)
                self._send(wire.Uplink(worker_loading=wire.WorkerLoading(fraction=fraction)))

        return report

    def _say_ready(self) -> None:
        memory = self._engine_log.memory()
        alive = [*self._fetches.alive(), *self._runner.alive()]
        ready = wire.WorkerReady(
            slots=self._start.slots,
            num_ctx=self._start.model.options.num_ctx,
            size=memory.total,
            size_vram=memory.vram,
            model=self._start.model,
            placement=self._start.placement,
            active=[wire.ActiveRequest(request_id=key.request_id, attempt=key.attempt) for key in alive],
        )
        self._send(wire.Uplink(worker_ready=ready))

    # ---- serving ----

    def _meanwhile(self, outputs: Collection[Output]) -> None:
        """Sends the last step's outputs and handles messages, while the next step computes."""
        self._outbox.send(outputs)
        for output in outputs:
            if output.ended:
                self._say_finished(output.request)
        self._receive(blocking=False)
        self._report()

    def _receive(self, *, blocking: bool) -> None:
        """Handles all messages and fetched works that have arrived. `blocking` waits for one until the next report is
        due."""
        if blocking:
            self._report()
            self._poller.poll(max(int((self._next_stats - time.monotonic()) * 1000), 1))
        while self._scheduler.getsockopt(zmq.EVENTS) & zmq.POLLIN:  # pyright: ignore[reportOperatorIssue]
            try:
                self._handle(wire.Downlink.FromString(self._scheduler.recv()))
            except DecodeError as error:
                log.warning("unreadable message dropped", error=str(error))
        for request in self._fetches.take_done():
            self._runner.add(request)

    def _handle(self, message: wire.Downlink) -> None:
        match message.WhichOneof("message"):
            case "run":
                self._begin(message.run)
            case "cancel":
                self._fetches.cancel(key_of(message.cancel))
                self._runner.cancel(key_of(message.cancel))
            case "identify":
                self._say_ready()
            case other:
                log.warning("message not for a worker dropped", kind=other)

    def _begin(self, run: wire.Run) -> None:
        """Gives a request to the engine, or has its work fetched first."""
        if run.work.HasField("kept"):
            self._fetches.begin(run)
        else:
            self._runner.add(request_of(run, run.work.inline))

    def _say_finished(self, request: Sequence | EmbeddingJob) -> None:
        message = wire.RequestFinished(
            request_id=request.key.request_id, attempt=request.key.attempt, finished=finished(request)
        )
        self._send(wire.Uplink(request_finished=message))

    def _report(self) -> None:
        now = time.monotonic()
        if now < self._next_stats:
            return
        self._next_stats = now + seconds(self._settings.stats_interval_ns)
        self._send(wire.Uplink(worker_stats=stats_of(self._runner, len(self._fetches.alive()))))

    def _send(self, message: wire.Uplink) -> None:
        self._scheduler.send(message.SerializeToString())
