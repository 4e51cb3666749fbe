"""What happens to the scheduler. Every event names what it speaks of; none holds a socket or a clock."""

from dataclasses import dataclass

from remuda.v1 import serving_pb2 as pb
from scheduler.model import Request, RequestKey


@dataclass(frozen=True, slots=True)
class Submitted:
    request: Request


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The client went away."""

    key: RequestKey


@dataclass(frozen=True, slots=True)
class UnloadRequested:
    model_path: str


@dataclass(frozen=True, slots=True)
class HostJoined:
    """A worker host said hello; `workers` are the replicas it runs already."""

    host: str
    devices: tuple[pb.Device, ...]
    workers: frozenset[int]


@dataclass(frozen=True, slots=True)
class HostReported:
    host: str
    devices: tuple[pb.Device, ...]


@dataclass(frozen=True, slots=True)
class WorkerLoading:
    replica: int
    fraction: float


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A replica can serve. One that this scheduler did not start is adopted."""

    replica: int
    placement: pb.Placement
    spec: pb.ModelSpec
    slots: int
    num_ctx: int
    size: int
    size_vram: int
    active: frozenset[RequestKey]


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """The load failed; the process is about to exit."""

    replica: int
    error: str


@dataclass(frozen=True, slots=True)
class WorkerExited:
    replica: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerReported:
    """A worker reported its counters. One that this scheduler does not know is asked what it is."""

    replica: int
    stats: pb.WorkerStats


@dataclass(frozen=True, slots=True)
class RequestFinished:
    replica: int
    key: RequestKey
    finished: pb.Finished


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time went on."""


Event = (
    Submitted
    | Cancelled
    | UnloadRequested
    | HostJoined
    | HostReported
    | WorkerLoading
    | WorkerReady
    | WorkerFailed
    | WorkerExited
    | WorkerReported
    | RequestFinished
    | Ticked
)
