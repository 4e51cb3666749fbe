"""The scheduler's nouns: requests, replicas and what they are identified by."""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from remuda.v1 import serving_pb2 as pb


class RequestKey(NamedTuple):
    """A request and which try of it: messages about an earlier attempt never touch a later one."""

    request_id: int
    attempt: int


class ModelKey(NamedTuple):
    """The files that make a model. Two names with the same files share a replica, also where their LoRA adapters
    differ: those are switched for each request. Of a split model all files count: the first may hold nothing but
    metadata, which two models can have in common."""

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
    LOADING = "loading"  # the worker was asked for and has not said that it is ready
    READY = "ready"
    DRAINING = "draining"  # takes no new request; stopped once it is idle
    STOPPING = "stopping"  # told to stop; its memory is free once its exit is reported


@dataclass(slots=True)
class Request:
    """One submission. `work` is opaque; None asks only for the model to be resident."""

    key: RequestKey
    spec: pb.ModelSpec
    keep_alive_ns: int | None
    gateway: str
    work: bytes | None
    state: RequestState = RequestState.WAITING
    replica: int | None = None
    position: int = -1  # as last told to the client
    arrival: int = 0  # counts submissions: who waits longest has the lowest

    @property
    def model(self) -> ModelKey:
        return ModelKey.of(self.spec)


@dataclass(slots=True)
class Replica:
    """One worker process with one loaded model."""

    id: int
    host: str
    device: str
    spec: pb.ModelSpec
    keep_alive_ns: int
    slots: int
    last_progress_ns: int
    state: ReplicaState = ReplicaState.LOADING
    progress: float = 0.0
    busy: set[RequestKey] = field(default_factory=set[RequestKey])
    last_used_ns: int = 0
    expires_at_ns: int | None = None  # set while idle and mortal
    num_ctx: int = 0
    size: int = 0
    size_vram: int = 0
    stats: pb.WorkerStats | None = None  # as last reported

    @property
    def model(self) -> ModelKey:
        return ModelKey.of(self.spec)

    @property
    def free_slots(self) -> int:
        return self.slots - len(self.busy) if self.state is ReplicaState.READY else 0

    @property
    def idle(self) -> bool:
        return not self.busy


Queue = OrderedDict[RequestKey, Request]
"""Waiting requests of one model, first come first served; removal by key is O(1)."""


def needs_reload(loaded: pb.LoadOptions, asked: pb.LoadOptions) -> bool:
    """Whether a replica with options `loaded` cannot serve a request with `asked`. Options left to the server
    (num_gpu -1, unset use_mmap) accept whatever is loaded, as Ollama does."""
    return (
        loaded.num_ctx != asked.num_ctx
        or loaded.num_batch != asked.num_batch
        or loaded.num_thread != asked.num_thread
        or (asked.num_gpu >= 0 and loaded.num_gpu != asked.num_gpu)
        or (asked.HasField("main_gpu") and loaded.main_gpu != asked.main_gpu)
        or (asked.HasField("use_mmap") and loaded.use_mmap != asked.use_mmap)
    )
