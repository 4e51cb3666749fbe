"""A worker between its sockets and its engine."""

import sys
import time
from collections.abc import Callable, Collection

import zmq
from google.protobuf.message import DecodeError

from remuda.devices import device_names
from remuda.endpoints import Endpoints
from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.engine.embedding import EmbeddingJob
from workers.engine.llama import LoadError
from workers.engine.log import EngineLog
from workers.engine.model import Model
from workers.engine.runner import Output, Runner
from workers.engine.sequence import Sequence, SequenceKey
from workers.worker.loading import Loader
from workers.worker.outbox import Outbox, finished
from workers.worker.translate import request_of

log = get_logger()

IDLE_POLL_MS = 1
"""Pause where nothing can be computed yet, though requests are there: they are being prepared."""


class Worker:
    """Between the sockets and the engine."""

    def __init__(self, start: wire.StartWorker, settings: Settings) -> None:
        self._start = start
        self._settings = settings
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._scheduler = context.socket(zmq.DEALER)
        self._scheduler.setsockopt(zmq.IDENTITY, f"worker:{start.worker}".encode())
        self._scheduler.linger = 1000  # milliseconds: the last words of a failed load must get out
        self._scheduler.connect(Endpoints.from_environment().uplink)
        self._context = context
        self._engine_log = EngineLog(verbose=settings.debug > 0)
        self._next_stats = 0.0

    def run(self) -> None:
        """Loads the model and serves it until the process is killed."""
        try:
            model, self._replica = self._load()
        except LoadError as error:
            reason = self._engine_log.explain(str(error))
            log.error("model not loaded", error=reason)
            self._send(wire.Uplink(worker_failed=wire.WorkerFailed(error=reason)))
            self._context.destroy(linger=1000)
            sys.exit(1)
        self._outbox = Outbox(self._context, model.vocabulary.piece)
        self._say_ready()
        while True:
            self._receive(blocking=not self._replica.busy)
            if not self._replica.step(self._meanwhile):
                self._scheduler.poll(IDLE_POLL_MS)

    # ---- loading ----

    def _load(self) -> tuple[Model, Runner]:
        """Raises LoadError."""
        began = time.monotonic()
        loader = Loader(self._start, self._settings, self._engine_log, self._progress_reporter(), self._say_ready)
        model, replica = loader.load()
        spec, seconds = self._start.model, round(time.monotonic() - began, 3)
        log.info("model loaded", model=spec.name, device=device_names(self._start.placement.devices), seconds=seconds)
        return model, replica

    def _progress_reporter(self) -> Callable[[float], None]:
        """llama.cpp reports for every tensor; the scheduler hears of every whole per cent."""
        last = -1

        def report(fraction: float) -> None:
            nonlocal last
            if int(fraction * 100) > last:
                last = int(fraction * 100)
                self._send(wire.Uplink(worker_loading=wire.WorkerLoading(fraction=fraction)))

        return report

    def _say_ready(self) -> None:
        memory = self._engine_log.memory()
        ready = wire.WorkerReady(
            slots=self._start.slots,
            num_ctx=self._start.model.options.num_ctx,
            size=memory.total,
            size_vram=memory.vram,
            model=self._start.model,
            placement=self._start.placement,
            active=[
                wire.ActiveRequest(request_id=key.request_id, attempt=key.attempt) for key in self._replica.alive()
            ],
        )
        self._send(wire.Uplink(worker_ready=ready))

    # ---- serving ----

    def _meanwhile(self, outputs: Collection[Output]) -> None:
        """What happens while a step computes: the last step's output leaves, messages come in."""
        self._outbox.send(outputs)
        for output in outputs:
            if output.ended:
                self._say_finished(output.request)
        self._receive(blocking=False)
        self._report()

    def _receive(self, *, blocking: bool) -> None:
        """Handles all messages that are there. Blocking waits for one, at most until the next report is due."""
        if blocking:
            self._report()
            self._scheduler.poll(max(int((self._next_stats - time.monotonic()) * 1000), 1))
        while self._scheduler.getsockopt(zmq.EVENTS) & zmq.POLLIN:  # pyright: ignore[reportOperatorIssue]
            try:
                self._handle(wire.Downlink.FromString(self._scheduler.recv()))
            except DecodeError as error:
                log.warning("unreadable message dropped", error=str(error))

    def _handle(self, message: wire.Downlink) -> None:
        match message.WhichOneof("message"):
            case "run":
                self._replica.add(request_of(message.run))
            case "cancel":
                self._replica.cancel(SequenceKey(message.cancel.request_id, message.cancel.attempt))
            case "identify":
                self._say_ready()
            case other:
                log.warning("message not for a worker dropped", kind=other)

    def _say_finished(self, request: Sequence | EmbeddingJob) -> None:
        message = wire.RequestFinished(
            request_id=request.key.request_id, attempt=request.key.attempt, finished=finished(request)
        )
        self._send(wire.Uplink(request_finished=message))

    def _report(self) -> None:
        now = time.monotonic()
        if now < self._next_stats:
            return
        self._next_stats = now + self._settings.stats_interval_ns / 1e9
        replica, counters = self._replica, self._replica.counters
        stats = pb.WorkerStats(
            slots_busy=replica.slots_busy,
            waiting=replica.waiting,
            cells_used=replica.cells_used,
            prefill_tokens=counters.prefill_tokens,
            decode_tokens=counters.decode_tokens,
            decode_steps=counters.decode_steps,
            cached_tokens=counters.cached_tokens,
            drafted_tokens=counters.drafted_tokens,
            accepted_tokens=counters.accepted_tokens,
            preemptions=counters.preemptions,
            parked_bytes=counters.parked_bytes,
            parked_states=counters.parked_states,
        )
        self._send(wire.Uplink(worker_stats=stats))

    def _send(self, message: wire.Uplink) -> None:
        self._scheduler.send(message.SerializeToString())
