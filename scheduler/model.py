"""The scheduler's nouns: requests, replicas, and what identifies them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from remuda.v1 import serving_pb2 as pb


class RequestKey(NamedTuple):
    """A request and its attempt: messages about an earlier attempt never touch a later one."""

    request_id: int
    attempt: int


class ModelKey(NamedTuple):
    """The files that make a model.

    Two names with the same files share replicas. LoRA adapters are no part of it: they are switched for each request.
    All files of a split model count: the first may hold nothing but metadata, which two models can have in common.
    """

    model_path: str
    split_paths: tuple[str, ...]
    projector_paths: tuple[str, ...]
    draft_path: str

    @classmethod
    def of(cls, spec: pb.ModelSpec) -> "ModelKey":
        return cls(spec.model_path, tuple(spec.split_paths), tuple(spec.projector_paths), spec.draft_path)


class RequestState(StrEnum):
    WAITING = "waiting"  # in its model's queue
    RUNNING = "running"  # holds a slot
    CANCELLING = "cancelling"  # holds its slot until the worker lets go of it


class ReplicaState(StrEnum):
    LOADING = "loading"  # its worker has not said yet that it is ready
    READY = "ready"
    DRAINING = "draining"  # finishes its requests and takes no other
    STOPPING = "stopping"  # told to stop; its memory is free once its exit is reported


STAYING = frozenset({ReplicaState.LOADING, ReplicaState.READY})
"""States of a replica that serves, or will. In the others it leaves."""


@dataclass(slots=True)
class Request:
    """One submission. `work` is passed on unread; None asks only for the model to be resident."""

    key: RequestKey
    spec: pb.ModelSpec
    keep_alive_ns: int | None
    gateway: str
    work: pb.WorkSource | None
    model: ModelKey = field(init=False)
    size: int = field(init=False)  # bytes of `work` that the scheduler keeps
    state: RequestState = RequestState.WAITING
    replica: int | None = None
    position: int = -1  # in the queue, as last told to the client
    submitted_ns: int = 0
    arrival: int = 0  # the longer a request has waited, the lower

    def __post_init__(self) -> None:
        self.model = ModelKey.of(self.spec)
        self.size = 0 if self.work is None else self.work.ByteSize()


@dataclass(slots=True)
class Replica:
    """One worker process with one loaded model. A model has any number of them."""

    id: int
    placement: pb.Placement
    spec: pb.ModelSpec
    keep_alive_ns: int
    slots: int
    last_progress_ns: int
    model: ModelKey = field(init=False)
    state: ReplicaState = ReplicaState.LOADING
    progress: float = 0.0
    busy: set[RequestKey] = field(default_factory=set[RequestKey])
    last_used_ns: int = 0
    expires_at_ns: int | None = None  # while it is idle and its keep-alive ends
    num_ctx: int = 0
    size: int = 0
    size_vram: int = 0
    stats: pb.WorkerStats | None = None  # as last reported

    def __post_init__(self) -> None:
        self.model = ModelKey.of(self.spec)

    @property
    def host(self) -> str:
        return self.placement.host

    @property
    def free_slots(self) -> int:
        return self.slots - len(self.busy) if self.state is ReplicaState.READY else 0

    @property
    def is_idle(self) -> bool:
        return not self.busy

    @property
    def is_resting(self) -> bool:
        """Whether its keep-alive runs, unless it stays for ever."""
        return self.is_idle and self.state is ReplicaState.READY

    @property
    def is_staying(self) -> bool:
        return self.state in STAYING

    @property
    def is_leaving(self) -> bool:
        return self.state not in STAYING

    def covers(self, request: Request) -> bool:
        """Whether the options that it was loaded with serve a request for its model.

        A larger context serves, too: the worker keeps each request to its own. Options that change nothing but speed
        (num_batch, num_thread, use_mmap) count for the load that they come with: clients that differ in them would
        reload the model with every request.
        """
        loaded, options = self.spec.options, request.spec.options
        return (
            loaded.num_ctx >= options.num_ctx
            and (options.num_gpu < 0 or loaded.num_gpu == options.num_gpu)
            and (not options.HasField("main_gpu") or loaded.main_gpu == options.main_gpu)
        )
