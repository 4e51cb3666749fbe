"""What the scheduler wants done. The core says it; `edge` carries it out."""

from dataclasses import dataclass

from remuda.v1 import serving_pb2 as pb
from scheduler.model import Replica, Request, RequestKey


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Starts a worker on its host, unless that has been restarted in the meantime."""

    replica: Replica
    incarnation: int


@dataclass(frozen=True, slots=True)
class StopWorker:
    host: str
    replica: int


@dataclass(frozen=True, slots=True)
class Identify:
    """Asks a worker that this scheduler does not know what it is."""

    replica: int


@dataclass(frozen=True, slots=True)
class IdentifyHost:
    """Asks a host that this scheduler does not know for its devices and workers."""

    host: str


@dataclass(frozen=True, slots=True)
class Measure:
    """Asks a host what a replica of a model would take, for each number of slots."""

    host: str
    id: int
    spec: pb.ModelSpec
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Run:
    replica: int
    request: Request


@dataclass(frozen=True, slots=True)
class CancelRun:
    replica: int
    key: RequestKey


@dataclass(frozen=True, slots=True)
class Notify:
    """Tells whoever submitted the request."""

    key: RequestKey
    event: pb.RequestEvent


Command = StartWorker | StopWorker | Identify | IdentifyHost | Measure | Run | CancelRun | Notify
