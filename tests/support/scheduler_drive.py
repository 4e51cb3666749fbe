"""Drives a scheduler core through examples: keeps the clock, plays hosts and workers, and remembers what was said."""

from collections import defaultdict

from remuda.durations import NANOSECONDS
from remuda.v1 import serving_pb2 as pb
from scheduler import commands, events
from scheduler.core import Core
from scheduler.invariants import violations
from scheduler.model import Replica, Request, RequestKey
from scheduler.state import Policy
from support.footprints import footprints

SECOND = NANOSECONDS["s"]
MINUTE = NANOSECONDS["m"]


def device(size: int, gpu: int | None = None, *, free: int | None = None) -> pb.Device:
    """A GPU with its index, or the CPU. All of its bytes are free, unless `free` says how many."""
    kind = pb.DEVICE_KIND_CPU if gpu is None else pb.DEVICE_KIND_CUDA
    number = pb.DeviceId(kind=kind, index=gpu or 0)
    return pb.Device(id=number, memory_total=size, memory_free=size if free is None else free)


CPU = device(1 << 30)
WORK = pb.WorkSource(inline=b"work")


def spec_of(model: str, name: str = "", projectors: tuple[str, ...] = (), num_ctx: int = 4096) -> pb.ModelSpec:
    options = pb.LoadOptions(num_ctx=num_ctx, num_gpu=-1)
    return pb.ModelSpec(name=name or model, model_path=f"/{model}", projector_paths=projectors, options=options)


def words(event: pb.RequestEvent) -> str:
    """A notice as one reads it: "queued 2", "running", "finished stop", "lost: signal SIGKILL"."""
    match event.WhichOneof("event"):
        case "queued":
            return f"queued {event.queued.position}"
        case "loading":
            return f"loading {event.loading.fraction:g}"
        case "running":
            return "running"
        case "finished":
            return "finished " + pb.FinishReason.Name(event.finished.reason).removeprefix("FINISH_REASON_").lower()
        case "lost":
            return f"lost: {event.lost.message}"
        case _:
            code = pb.Rejected.Code.Name(event.rejected.code).removeprefix("CODE_").lower()
            return f"rejected {code}: {event.rejected.message}"


class Drive:
    """A core with a clock. Requests are numbers, models are letters; `told` and `said` are read as words."""

    def __init__(
        self,
        *,
        slots: int = 1,
        models: int = 3,
        queue: int = 512,
        queue_bytes: int = 1 << 20,
        keep_alive: int = 5 * MINUTE,
        load_timeout: int = 5 * MINUTE,
        hosts: tuple[str, ...] = ("h",),
        first_replica: int = 1,
        replicas: int = 1,
        scale_up_after: int = 0,
        devices: tuple[pb.Device, ...] = (CPU,),
    ) -> None:
        policy = Policy(
            slots,
            models,
            queue,
            queue_bytes,
            keep_alive,
            load_timeout,
            max_replicas=replicas,
            scale_up_after_ns=scale_up_after,
        )
        self.core = Core(policy, first_replica)
        self.now = SECOND
        self.slots = slots
        self.devices = devices
        self.sizes: defaultdict[str, int] = defaultdict(lambda: 1)
        """Bytes of one layer of a model; it has two."""
        self.unmeasurable: dict[str, str] = {}
        """Why dry runs of these models fail."""
        self.started: list[Replica] = []
        self._told: defaultdict[RequestKey, list[str]] = defaultdict(list)
        self._said: list[str] = []
        for host in hosts:
            self.join(host)

    # ---- what clients do ----

    def submit(
        self,
        request: int,
        model: str = "a",
        *,
        attempt: int = 0,
        keep_alive: int | None = None,
        only_load: bool = False,
        work: pb.WorkSource = WORK,
        spec: pb.ModelSpec | None = None,
    ) -> None:
        source = None if only_load else work
        key = RequestKey(request, attempt)
        self.give(events.Submitted(Request(key, spec or spec_of(model), keep_alive, "gateway", source)))

    def cancel(self, request: int, attempt: int = 0) -> None:
        self.give(events.Cancelled(RequestKey(request, attempt)))

    def unload(self, model: str = "a") -> None:
        self.give(events.UnloadRequested(f"/{model}"))

    # ---- what hosts and workers do ----

    def join(self, host: str = "h", *workers: int) -> None:
        self.give(events.HostJoined(host, 1, self.devices, frozenset(workers)))

    def report(self, *devices: pb.Device, host: str = "h") -> None:
        """A host reports its devices; none = as they are."""
        self.devices = devices or self.devices
        self.give(events.HostReported(host, self.devices))

    def loading(self, model: str, fraction: float) -> None:
        self.give(events.WorkerLoading(self.replica(model).id, fraction))

    def ready(self, model: str = "a", *, replica: int | None = None, active: tuple[tuple[int, int], ...] = ()) -> None:
        """The model's worker is ready; `replica` names one that this core may not know."""
        known = self.core.state.replicas.get(replica) if replica is not None else self.replica(model)
        self.give(
            events.WorkerReady(
                replica=known.id if known is not None else replica or 0,
                placement=known.placement if known is not None else pb.Placement(host="h", devices=[CPU.id]),
                spec=known.spec if known is not None else spec_of(model),
                slots=self.slots,
                num_ctx=4096,
                size=1,
                size_vram=0,
                active=frozenset(RequestKey(*key) for key in active),
            )
        )

    def fail(self, model: str, error: str) -> None:
        self.give(events.WorkerFailed(self.replica(model).id, error))

    def exit(self, model: str = "a", reason: str = "exit status 0") -> None:
        """The process of the model's newest replica ends."""
        self.exit_replica(self.replica(model), reason)

    def exit_replica(self, replica: Replica, reason: str = "exit status 0") -> None:
        self.give(events.WorkerExited(replica.id, reason, replica.host, self.devices))

    def finish(
        self,
        request: int,
        *,
        attempt: int = 0,
        replica: int | None = None,
        reason: pb.FinishReason.ValueType = pb.FINISH_REASON_STOP,
    ) -> None:
        key = RequestKey(request, attempt)
        if replica is None:
            replica = next(r.id for r in self.core.state.replicas.values() if key in r.busy)
        self.give(events.RequestFinished(replica, key, pb.Finished(reason=reason)))

    def load(self, model: str = "a") -> None:
        """Makes a model resident through a request that only wants that."""
        self.submit(1_000_000 + len(self.started), model, only_load=True)
        self.ready(model)
        self.take_said()

    # ---- time and the rest ----

    def pass_time(self, ns: int) -> None:
        self.now += ns
        self.give(events.Ticked())

    def give(self, event: events.Event) -> None:
        questions: list[commands.Measure] = []
        for command in self.core.handle(event, self.now):
            if isinstance(command, commands.Measure):
                questions.append(command)
            else:
                self._take(command)
        assert violations(self.core.state) == []
        for question in questions:
            self._measure(question)

    def _measure(self, question: commands.Measure) -> None:
        """A host's dry run, which takes no time."""
        model = question.spec.model_path[1:]
        error = self.unmeasurable.get(model, "")
        answer = () if error else footprints(question.slots, layer=self.sizes[model])
        self.give(events.Measured(question.id, answer, error))

    # ---- what was said ----

    def told(self, request: int, attempt: int = 0) -> list[str]:
        """All notices of a request so far."""
        return self._told[RequestKey(request, attempt)]

    def take_said(self) -> list[str]:
        """The commands to hosts and workers since the last call."""
        said, self._said = self._said, []
        return said

    def replicas(self, model: str = "a") -> list[Replica]:
        """The model's replicas, the oldest first."""
        return [r for r in self.core.state.replicas.values() if r.spec.model_path == f"/{model}"]

    def replica(self, model: str = "a") -> Replica:
        """The model's newest replica."""
        return self.replicas(model)[-1]

    def residents(self) -> dict[str, str]:
        return {r.spec.model_path[1:]: r.state.value for r in self.core.state.replicas.values()}

    def _take(self, command: commands.Command) -> None:
        match command:
            case commands.Notify(key, event):
                self._told[key].append(words(event))
            case commands.StartWorker(replica, _):
                self.started.append(replica)
                self._said.append(f"start {replica.spec.model_path[1:]}")
            case commands.StopWorker(_, replica):
                self._said.append(f"stop {self._model(replica)}")
            case commands.Run(replica, request):
                self._said.append(f"run {request.key.request_id} on {self._model(replica)}")
            case commands.CancelRun(replica, key):
                self._said.append(f"cancel {key.request_id} on {self._model(replica)}")
            case commands.Measure():
                raise AssertionError("a question is answered at once")
            case commands.Identify(replica):
                self._said.append(f"identify worker {replica}")
            case commands.IdentifyHost(host):
                self._said.append(f"identify host {host}")

    def _model(self, replica: int) -> str:
        known = self.core.state.replicas.get(replica)
        return f"worker {replica}" if known is None else known.spec.model_path[1:]
