"""All that the scheduler knows. The parts of the core share it; nobody else changes it."""

from dataclasses import dataclass

from remuda.v1 import serving_pb2 as pb
from scheduler import commands, notices
from scheduler.commands import Command
from scheduler.ledger import Ledger
from scheduler.measurements import Measurements
from scheduler.model import ModelKey, Replica, Request, RequestKey, RequestState
from scheduler.queue import Queues


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that the core decides by."""

    num_parallel: int  # slots of a replica; 0 = as many as fit
    max_loaded_models: int  # 0 = automatic
    max_queue: int
    queue_bytes: int
    keep_alive_ns: int  # negative = for ever
    load_timeout_ns: int  # without progress; 0 or less = no limit
    spread: bool = False  # every replica takes all GPUs of its host
    max_replicas: int = 1  # of one model; 0 = as many as there are GPUs
    scale_up_after_ns: int = 0  # how long a request waits before another replica starts for it


MOST_SLOTS = (16, 8, 4, 2, 1)
"""Slots of a replica where OLLAMA_NUM_PARALLEL does not say how many: as many of these as fit beside the model."""


class State:
    """Devices, replicas, requests and queues; the time of the present event, and the commands that it has led to."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.incarnations: dict[str, int] = {}  # of each host that has joined
        self.ledger = Ledger()
        self.measurements = Measurements((policy.num_parallel,) if policy.num_parallel else MOST_SLOTS)
        self.replicas: dict[int, Replica] = {}
        self.requests: dict[RequestKey, Request] = {}
        self.queues = Queues(policy.max_queue, policy.queue_bytes)
        self.now_ns = 0
        self._commands: list[Command] = []

    @property
    def max_replicas(self) -> int:
        """How many replicas a model may have."""
        return self.policy.max_replicas or max(len(self.ledger.gpus()), 1)

    def replicas_of(self, model: ModelKey) -> list[Replica]:
        """The replicas of a model in any state."""
        return [replica for replica in self.replicas.values() if replica.model == model]

    def forget(self, request: Request) -> None:
        """Removes a request that has ended."""
        self.requests.pop(request.key, None)
        self.queues.discard(request)

    # ---- commands ----

    def say(self, command: Command) -> None:
        self._commands.append(command)

    def take_commands(self) -> list[Command]:
        """The commands since the last call, in order."""
        said, self._commands = self._commands, []
        return said

    def notify(self, request: Request, event: pb.RequestEvent) -> None:
        """Tells a request's submitter, unless it has gone."""
        if request.state is not RequestState.CANCELLING:
            self.say(commands.Notify(request.key, event))

    def tell_position(self, request: Request, position: int) -> None:
        """Tells a waiting request its place in the queue, where that has changed."""
        if request.position != position:
            request.position = position
            self.notify(request, notices.queued(position))

    def reject(self, request: Request, code: pb.Rejected.Code.ValueType, message: str) -> None:
        self.notify(request, notices.rejected(code, message))
        self.forget(request)
