"""What happens to the scheduler. Every event names what it speaks of; none holds a socket or a clock."""

from dataclasses import dataclass

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
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
    incarnation: int
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
    """`devices` are those of its host, as they are without it."""

    replica: int
    reason: str
    host: str
    devices: tuple[pb.Device, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A host's answer to `commands.Measure`. With an error there are no footprints."""

    id: int
    footprints: tuple[wire.Footprint, ...]
    error: str


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
    | Measured
    | WorkerReported
    | RequestFinished
    | Ticked
)
