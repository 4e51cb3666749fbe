"""A fake world around a scheduler core: clients, a worker host and workers that do random things, one seed each.

Messages of one peer arrive in order; those of different peers overtake each other, as on real sockets.
"""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from random import Random

from remuda.v1 import serving_pb2 as pb
from scheduler import commands, events, notices
from scheduler.core import Core
from scheduler.events import Event
from scheduler.invariants import violations
from scheduler.ledger import DeviceKey
from scheduler.model import Request, RequestKey
from scheduler.placement import shares_of
from scheduler.state import Policy
from support.footprints import footprints

HOST = "h"
RAM = 400
GPU = 100
LAYERS = {"a": 10, "b": 40, "c": 60, "d": 110}
"""Bytes of one of the two layers of each model, in units of the devices'."""
SECOND = 1_000_000_000
LARGEST = 200
"""Most bytes of a work. The queue holds about as many bytes as it holds requests of half that size."""
DONE = pb.Finished(reason=pb.FINISH_REASON_STOP)


@dataclass
class Worker:
    """What a worker process knows."""

    id: int
    spec: pb.ModelSpec
    placement: pb.Placement
    slots: int
    ready: bool = False
    running: list[RequestKey] = field(default_factory=list[RequestKey])


class World:
    """Everything but the scheduler. `step` does one random thing and checks the core after every event it causes."""

    def __init__(
        self, seed: int, *, slots: int = 2, models: int = 2, queue: int = 12, replicas: int = 1, gpus: int = 0
    ) -> None:
        self.random = Random(seed)
        self._sizes = {DeviceKey(HOST, pb.DEVICE_KIND_CPU, 0): RAM}
        self._sizes |= {DeviceKey(HOST, pb.DEVICE_KIND_CUDA, index): GPU for index in range(gpus)}
        policy = Policy(
            slots,
            models,
            queue,
            queue_bytes=queue * LARGEST // 2,
            keep_alive_ns=20 * SECOND,
            load_timeout_ns=60 * SECOND,
            max_replicas=replicas,
        )
        self.core = Core(policy)
        self.now = SECOND
        self.events = 0
        self.most_replicas = 0  # of one model that stay at once
        self.workers: dict[int, Worker] = {}
        self.open: dict[RequestKey, int] = {}  # submitted, not ended, not cancelled; with the step of submission
        self.ended: dict[RequestKey, str] = {}
        self.cancelled: set[RequestKey] = set()
        self.last_run: defaultdict[str, int] = defaultdict(int)
        self._up: defaultdict[str, deque[Event]] = defaultdict(deque)
        self._down: defaultdict[str, deque[commands.Command]] = defaultdict(deque)
        self._others: Counter[DeviceKey] = Counter()  # bytes of other processes
        self._submitted = 0
        self._incarnation = 1
        self._specs = [
            pb.ModelSpec(model_path=f"/{name}", options=pb.LoadOptions(num_ctx=num_ctx, num_gpu=-1))
            for name in "abcd"
            for num_ctx in (1024, 1024, 1024, 2048)
        ]
        self.give(events.HostJoined(HOST, self._incarnation, self._devices(), frozenset()))

    # ---- what happens ----

    def step(self) -> None:
        """One random thing, weighted so that all states are visited often."""
        happenings = {
            self.submit: 18,
            self.cancel: 4,
            self.work: 25,
            self.deliver: 30,
            self.receive: 30,
            self.pass_time: 4,
            self.report: 2,
            self.disturb: 0.5,
            self.unload: 0.3,
        }
        (happening,) = self.random.choices(list(happenings), list(happenings.values()))
        happening()
        if self.random.random() < 0.002:
            self.kill()
        if self.random.random() < 0.0003:
            self.restart_host()

    def settle(self) -> None:
        """No more clients and no more deaths: everything that waits has to come to an end."""
        for _ in range(20_000):
            if not self.open:
                return
            self.random.choice((self.finish_work, self.deliver, self.receive, self.pass_time, self.report))()
        raise AssertionError(f"for ever waiting: {list(self.open)[:5]}")

    def submit(self) -> None:
        self._submitted += 1
        key = RequestKey(self._submitted, 0)
        keep_alive = self.random.choice((None, None, None, 0, -1, SECOND))
        work = None if self.random.random() < 0.05 else pb.WorkSource(inline=bytes(self.random.randrange(LARGEST)))
        self.open[key] = self.events
        self.give(events.Submitted(Request(key, self.random.choice(self._specs), keep_alive, "g", work)))

    def cancel(self) -> None:
        if self.open:
            key = self.random.choice(list(self.open))
            del self.open[key]
            self.cancelled.add(key)
            self.give(events.Cancelled(key))

    def unload(self) -> None:
        self.give(events.UnloadRequested(self.random.choice(self._specs).model_path))

    def pass_time(self) -> None:
        self.now += self.random.randrange(3 * SECOND)
        self.give(events.Ticked())

    def work(self) -> None:
        """A worker gets on with what it does, and fails at times."""
        if self.random.random() < 0.03 and (worker := self._any_worker()) is not None and not worker.ready:
            self._up[f"worker:{worker.id}"].append(events.WorkerFailed(worker.id, "bad file"))
            self._die(worker, "exit status 1")
        else:
            self.finish_work()

    def finish_work(self) -> None:
        worker = self._any_worker()
        if worker is None:
            return
        up = self._up[f"worker:{worker.id}"]
        if not worker.ready and self.random.random() < 0.5:
            up.append(events.WorkerLoading(worker.id, self.random.random()))
        elif not worker.ready:
            worker.ready = True
            active = frozenset(worker.running)
            up.append(events.WorkerReady(worker.id, worker.placement, worker.spec, worker.slots, 1024, 1, 0, active))
        elif worker.running:
            key = worker.running.pop(self.random.randrange(len(worker.running)))
            up.append(events.RequestFinished(worker.id, key, DONE))
        else:
            up.append(events.WorkerReported(worker.id, pb.WorkerStats()))

    def kill(self) -> None:
        worker = self._any_worker()
        if worker is not None:
            self._die(worker, "signal SIGKILL")

    def restart_host(self) -> None:
        self.workers.clear()
        self._incarnation += 1
        self._up[f"host:{HOST}"].append(events.HostJoined(HOST, self._incarnation, self._devices(), frozenset()))

    def disturb(self) -> None:
        """Another process takes or frees memory of a device."""
        key = self.random.choice(list(self._sizes))
        self._others[key] = self.random.randrange(self._sizes[key]) if self.random.random() < 0.3 else 0

    def report(self) -> None:
        self._up[f"host:{HOST}"].append(events.HostReported(HOST, self._devices()))

    # ---- messages ----

    def deliver(self) -> None:
        """A peer's next message reaches the scheduler."""
        peers = [peer for peer, queue in self._up.items() if queue]
        if peers:
            self.give(self._up[self.random.choice(peers)].popleft())

    def receive(self) -> None:
        """A command reaches its host or worker."""
        peers = [peer for peer, queue in self._down.items() if queue]
        if peers:
            self._obey(self._down[self.random.choice(peers)].popleft())

    def _obey(self, command: commands.Command) -> None:
        match command:
            case commands.StartWorker(_, incarnation) if incarnation != self._incarnation:
                pass  # it was meant for the host before its restart
            case commands.StartWorker(replica, _):
                self.workers[replica.id] = Worker(replica.id, replica.spec, replica.placement, replica.slots)
                held = self._held()
                assert all(held[key] <= size for key, size in self._sizes.items()), f"over-committed: {held}"
            case commands.Measure(_, number, spec, slots):
                self._measure(number, spec, slots)
            case commands.StopWorker(_, replica) if replica in self.workers:
                self._die(self.workers[replica], "exit status 0")
            case commands.Run(replica, request) if replica in self.workers:
                worker = self.workers[replica]
                assert worker.spec.model_path == request.spec.model_path
                worker.running.append(request.key)
                assert len(worker.running) <= worker.slots
            case commands.CancelRun(replica, key) if replica in self.workers:
                if key in self.workers[replica].running:
                    self.workers[replica].running.remove(key)
                    self._up[f"worker:{replica}"].append(events.RequestFinished(replica, key, DONE))
            case _:
                pass  # for a peer that is gone

    def _die(self, worker: Worker, reason: str) -> None:
        del self.workers[worker.id]
        self._up[f"host:{HOST}"].append(events.WorkerExited(worker.id, reason, HOST, self._devices()))

    def _measure(self, question: int, spec: pb.ModelSpec, slots: tuple[int, ...]) -> None:
        error = "bad file" if self.random.random() < 0.03 else ""
        layer = LAYERS[spec.model_path[1:]]
        answer = () if error else footprints(slots, layer=layer, cache=spec.options.num_ctx // 1024)
        self._up[f"host:{HOST}"].append(events.Measured(question, answer, error))

    def _held(self) -> Counter[DeviceKey]:
        """What the workers really hold of each device."""
        held: Counter[DeviceKey] = Counter()
        for worker in self.workers.values():
            held.update(shares_of(worker.placement))
        return held

    def _devices(self) -> tuple[pb.Device, ...]:
        """The devices as they are now. What a worker that loads holds shows already, or not yet."""
        held = self._held()
        return tuple(
            pb.Device(
                id=pb.DeviceId(kind=key.kind, index=key.index),
                memory_total=size,
                memory_free=max(size - held[key] - self._others[key], 0),
            )
            for key, size in self._sizes.items()
        )

    def _any_worker(self) -> Worker | None:
        return self.random.choice(list(self.workers.values())) if self.workers else None

    # ---- the core, watched ----

    def give(self, event: Event) -> None:
        self.events += 1
        for command in self.core.handle(event, self.now):
            self._take(command)
        assert violations(self.core.state) == []
        replicas = Counter(replica.model for replica in self.core.state.replicas.values() if replica.is_staying)
        self.most_replicas = max(self.most_replicas, *replicas.values(), 0)

    def _take(self, command: commands.Command) -> None:
        match command:
            case commands.Notify(key, event):
                assert key not in self.ended, "a notice after the last one"
                last = notices.is_last(event) or (event.HasField("running") and key not in self.core.state.requests)
                if last:  # a request for the model alone ends when it is there
                    self.ended[key] = event.WhichOneof("event") or ""
                    self.open.pop(key, None)
            case commands.Run(replica, request):
                model = request.spec.model_path
                assert request.key.request_id > self.last_run[model], "overtaken in its own queue"
                self.last_run[model] = request.key.request_id
                self._down[f"worker:{replica}"].append(command)
            case commands.CancelRun(replica, _) | commands.Identify(replica):
                self._down[f"worker:{replica}"].append(command)
            case _:
                self._down[f"host:{HOST}"].append(command)
