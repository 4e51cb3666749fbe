"""The scheduler's state machine: events in, commands out. No socket, no clock, no thread.

A request waits in its model's queue until a replica of that model has a free slot. Each queue is advanced on its own,
so that a slow load delays nobody but those who want that model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from remuda.v1 import serving_pb2 as pb
from scheduler import commands, events, notices, placement
from scheduler.commands import Command
from scheduler.events import Event
from scheduler.model import ModelKey, Queue, Replica, ReplicaState, Request, RequestKey, RequestState, needs_reload

UNWANTED_KEPT = 10_000
"""Cancellations of unknown requests that are remembered: more than a crowd of clients leaves behind in the second of a
restart, and too few to fill a memory."""

IDENTIFY_TIMEOUT_NS = 2_000_000_000
"""How long a restarted scheduler starts no worker because one that it found has not said yet what it is. One that
serves says so within a step; one that is loading cannot, and is adopted when it is ready."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that the core decides by."""

    num_parallel: int
    max_loaded_models: int  # 0 = automatic
    max_queue: int
    keep_alive_ns: int  # negative = for ever
    load_timeout_ns: int  # without progress; 0 or less = no limit
    spread: bool = False  # every replica takes all GPUs of its host


class Core:
    """Owns hosts, replicas, requests and queues. `handle` is the only way in."""

    def __init__(self, policy: Policy, first_replica: int = 1) -> None:
        self.policy = policy
        self.hosts: dict[str, tuple[pb.Device, ...]] = {}
        self.replicas: dict[int, Replica] = {}
        self.requests: dict[RequestKey, Request] = {}
        self.queues: dict[ModelKey, Queue] = {}
        self._first_replica = self._next_replica = first_replica
        self._arrivals = 0
        self._unwanted: dict[RequestKey, None] = {}  # cancelled before their worker was adopted, oldest first
        self._unidentified: dict[int, int] = {}  # workers of an earlier scheduler: until when they are waited for
        self._commands: list[Command] = []
        self._now = 0
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            events.Submitted: self._submitted,
            events.Cancelled: self._cancelled,
            events.UnloadAsked: self._unload_asked,
            events.HostJoined: self._host_joined,
            events.HostReported: self._host_reported,
            events.WorkerLoading: self._worker_loading,
            events.WorkerReady: self._worker_ready,
            events.WorkerFailed: self._worker_failed,
            events.WorkerExited: self._worker_exited,
            events.WorkerReported: self._worker_reported,
            events.RequestFinished: self._request_finished,
            events.Ticked: self._ticked,
        }

    def handle(self, event: Event, now_ns: int) -> list[Command]:
        """Takes one event at monotonic time `now_ns` and returns what has to be done, in order."""
        self._now = now_ns
        self._handlers[cast(type[Any], type(event))](event)
        done, self._commands = self._commands, []
        return done

    @property
    def waiting(self) -> int:
        """Requests in queues."""
        return sum(map(len, self.queues.values()))

    @property
    def next_deadline_ns(self) -> int | None:
        """When `Ticked` is due next: the earliest keep-alive or load time-out."""
        limits = [replica.expires_at_ns for replica in self.replicas.values()]
        limits += [self._load_deadline(replica) for replica in self.replicas.values()]
        limits += self._unidentified.values()
        return min((limit for limit in limits if limit is not None), default=None)

    # ---- requests ----

    def _submitted(self, event: events.Submitted) -> None:
        request = event.request
        if self.waiting >= self.policy.max_queue and not self._runs_at_once(request):
            self._reject(request, pb.Rejected.CODE_QUEUE_FULL, notices.QUEUE_FULL)
            return
        self._arrivals += 1
        request.arrival = self._arrivals
        queue = self.queues.setdefault(request.model, Queue())
        self.requests[request.key] = request
        queue[request.key] = request
        self._advance(request.model)
        if request.key in queue:
            self._tell_position(request, len(queue) - 1)

    def _cancelled(self, event: events.Cancelled) -> None:
        request = self.requests.get(event.key)
        if request is None:
            self._cancel_adopted(event.key)
            return
        if request.state is RequestState.CANCELLING:
            return
        if request.state is RequestState.RUNNING:
            assert request.replica is not None
            request.state = RequestState.CANCELLING
            self._say(commands.CancelRun(request.replica, request.key))
            return
        self._forget(request)
        self._abandon_unwanted_load(request.model)
        self._advance(request.model)

    def _cancel_adopted(self, key: RequestKey) -> None:
        """Cancels a request of an earlier scheduler's time, also where its worker has yet to be adopted."""
        replica = next((replica for replica in self.replicas.values() if key in replica.busy), None)
        if replica is not None:
            self._say(commands.CancelRun(replica.id, key))
        else:
            self._unwanted[key] = None
            if len(self._unwanted) > UNWANTED_KEPT:
                del self._unwanted[next(iter(self._unwanted))]

    def _request_finished(self, event: events.RequestFinished) -> None:
        replica = self.replicas.get(event.replica)
        if replica is None:
            self._say(commands.Identify(event.replica))
            return
        request = self.requests.get(event.key)
        if request is not None and request.replica == replica.id:
            self._notify(request, notices.finished(event.finished))
            self._forget(request)
        self._release(replica, event.key)

    # ---- hosts and workers ----

    def _host_joined(self, event: events.HostJoined) -> None:
        self.hosts[event.host] = event.devices
        gone = [r for r in self.replicas.values() if r.host == event.host and r.id not in event.workers]
        for replica in gone:
            self._remove(replica, "its worker host was restarted")
        for replica_id in event.workers - self.replicas.keys():
            self._unidentified.setdefault(replica_id, self._now + IDENTIFY_TIMEOUT_NS)
            self._say(commands.Identify(replica_id))
        self._advance_all()

    def _host_reported(self, event: events.HostReported) -> None:
        if event.host in self.hosts:
            self.hosts[event.host] = event.devices
        else:
            self._say(commands.IdentifyHost(event.host))

    def _worker_loading(self, event: events.WorkerLoading) -> None:
        replica = self.replicas.get(event.replica)
        if replica is None or replica.state is not ReplicaState.LOADING:
            return
        replica.progress, replica.last_progress_ns = event.fraction, self._now
        for request in self.queues.get(replica.model, Queue()).values():
            self._notify(request, notices.loading(event.fraction))

    def _worker_ready(self, event: events.WorkerReady) -> None:
        replica = self.replicas.get(event.replica)
        if replica is None and event.replica >= self._first_replica:
            # one of ours that its host has reported gone: its last words, or a process that nobody accounts for
            self._say(commands.StopWorker(event.host, event.replica))
            return
        replica = replica or self._adopt(event)
        self._unidentified.pop(replica.id, None)
        if replica.state is ReplicaState.LOADING:
            replica.state = ReplicaState.READY
        replica.progress = 1.0
        replica.slots, replica.num_ctx = event.slots, event.num_ctx
        replica.size, replica.size_vram = event.size, event.size_vram
        self._rest_if_idle(replica)
        self._advance_all()

    def _worker_failed(self, event: events.WorkerFailed) -> None:
        replica = self.replicas.get(event.replica)
        if replica is not None and replica.state is ReplicaState.LOADING:
            replica.state = ReplicaState.STOPPING
            self._reject_all(replica.model, pb.Rejected.CODE_LOAD_FAILED, event.error)

    def _worker_exited(self, event: events.WorkerExited) -> None:
        self._unidentified.pop(event.replica, None)
        replica = self.replicas.get(event.replica)
        if replica is None:
            return
        if replica.state is ReplicaState.LOADING:
            self._reject_all(
                replica.model, pb.Rejected.CODE_LOAD_FAILED, f"the worker ended while loading: {event.reason}"
            )
        self._remove(replica, event.reason)
        self._advance_all()

    def _worker_reported(self, event: events.WorkerReported) -> None:
        replica = self.replicas.get(event.replica)
        if replica is None:
            self._say(commands.Identify(event.replica))
        else:
            replica.stats = event.stats

    def _unload_asked(self, event: events.UnloadAsked) -> None:
        for replica in [r for r in self.replicas.values() if r.spec.model_path == event.model_path]:
            if replica.state is ReplicaState.LOADING:
                replica.keep_alive_ns = 0
                self._abort_load(replica)
            elif replica.state is ReplicaState.READY:
                replica.keep_alive_ns = 0
                self._rest_if_idle(replica)

    def _abort_load(self, replica: Replica) -> None:
        """Stops a load unless a generation waits for it: that is served first, as by a model that is loaded."""
        for request in list(self.queues.get(replica.model, Queue()).values()):
            if request.work is None:
                self._reject(request, pb.Rejected.CODE_LOAD_FAILED, notices.UNLOADED)
        self._abandon_unwanted_load(replica.model)

    # ---- time ----

    def _ticked(self, _: events.Ticked) -> None:
        for replica in list(self.replicas.values()):
            if replica.expires_at_ns is not None and replica.expires_at_ns <= self._now:
                self._stop(replica)
            elif (limit := self._load_deadline(replica)) is not None and limit <= self._now:
                self._stop(replica)
                self._reject_all(replica.model, pb.Rejected.CODE_LOAD_FAILED, notices.LOAD_STALLED)
        self._give_up_identifying()
        for queue in self.queues.values():
            for position, request in enumerate(queue.values()):
                self._tell_position(request, position)

    def _give_up_identifying(self) -> None:
        late = [replica for replica, limit in self._unidentified.items() if limit <= self._now]
        for replica in late:
            del self._unidentified[replica]
        if late:
            self._advance_all()

    def _load_deadline(self, replica: Replica) -> int | None:
        if replica.state is not ReplicaState.LOADING or self.policy.load_timeout_ns <= 0:
            return None
        return replica.last_progress_ns + self.policy.load_timeout_ns

    # ---- decisions ----

    def _advance_all(self) -> None:
        """Who has waited longest comes first, so that no model keeps another from ever being loaded."""
        for model in sorted(self.queues, key=lambda model: next(iter(self.queues[model].values())).arrival):
            self._advance(model)

    def _advance(self, model: ModelKey) -> None:
        """Gives slots to the head of a model's queue, or sees to it that there will be one."""
        queue = self.queues.get(model, Queue())
        while queue:
            head = next(iter(queue.values()))
            replica = self._replica_for(model)
            if replica is None:
                self._make_resident(head)
                return
            if replica.state is ReplicaState.READY and needs_reload(replica.spec.options, head.spec.options):
                self._drain(replica)
                return
            if not replica.free_slots:
                return
            del queue[head.key]
            self._dispatch(head, replica)
        self.queues.pop(model, None)

    def _runs_at_once(self, request: Request) -> bool:
        replica = self._replica_for(request.model)
        return (
            replica is not None
            and replica.free_slots > 0
            and request.model not in self.queues
            and not needs_reload(replica.spec.options, request.spec.options)
        )

    def _replica_for(self, model: ModelKey) -> Replica | None:
        candidates = [replica for replica in self.replicas.values() if replica.model == model]
        return max(candidates, key=lambda replica: replica.free_slots, default=None)

    def _dispatch(self, request: Request, replica: Replica) -> None:
        if request.keep_alive_ns is not None:
            replica.keep_alive_ns = request.keep_alive_ns
        replica.last_used_ns, replica.expires_at_ns = self._now, None
        self._notify(request, notices.running(replica.id))
        if request.work is None:  # only the model was wanted
            del self.requests[request.key]
            self._rest_if_idle(replica)
            return
        request.state, request.replica = RequestState.RUNNING, replica.id
        replica.busy.add(request.key)
        self._say(commands.Run(replica.id, request))

    def _make_resident(self, request: Request) -> None:
        """Starts a worker for the request's model, or makes room for it."""
        place = placement.choose_device(request.spec, self.hosts, spread=self.policy.spread)
        if place is None or self._unidentified:
            return  # a host will join, or a worker tells that it has this very model; until then the request waits
        if len(self.replicas) >= placement.max_resident(self.policy.max_loaded_models, self.hosts):
            self._make_room()
            return
        host, device = place
        keep_alive = self.policy.keep_alive_ns if request.keep_alive_ns is None else request.keep_alive_ns
        replica = Replica(
            self._next_replica, host, device, request.spec, keep_alive, max(self.policy.num_parallel, 1), self._now
        )
        self._next_replica += 1
        self.replicas[replica.id] = replica
        self._say(commands.StartWorker(replica))

    def _make_room(self) -> None:
        """Drains a replica, unless those that leave already make room for all models that wait for it."""
        serving = [r.model for r in self.replicas.values() if r.state in (ReplicaState.LOADING, ReplicaState.READY)]
        wanted = self.queues.keys() - set(serving)
        if len(serving) + len(wanted) <= placement.max_resident(self.policy.max_loaded_models, self.hosts):
            return
        victim = placement.choose_victim(self.replicas.values())
        if victim is not None:
            self._drain(victim)

    def _drain(self, replica: Replica) -> None:
        replica.state = ReplicaState.DRAINING
        if replica.idle:
            self._stop(replica)

    def _stop(self, replica: Replica) -> None:
        replica.state, replica.expires_at_ns = ReplicaState.STOPPING, None
        self._say(commands.StopWorker(replica.host, replica.id))

    def _abandon_unwanted_load(self, model: ModelKey) -> None:
        """Stops a load that nobody waits for any more."""
        replica = self._replica_for(model)
        if not self.queues.get(model) and replica is not None and replica.state is ReplicaState.LOADING:
            self._stop(replica)

    def _release(self, replica: Replica, key: RequestKey) -> None:
        replica.busy.discard(key)
        replica.last_used_ns = self._now
        self._advance(replica.model)
        self._rest_if_idle(replica)

    def _rest_if_idle(self, replica: Replica) -> None:
        """Starts the keep-alive of a replica that has nothing to do; a draining one is stopped."""
        if not replica.idle or replica.id not in self.replicas:
            return
        if replica.state is ReplicaState.DRAINING:
            self._stop(replica)
        elif replica.state is ReplicaState.READY and not self.queues.get(replica.model):
            if replica.keep_alive_ns == 0:
                self._stop(replica)
            else:
                replica.expires_at_ns = None if replica.keep_alive_ns < 0 else self._now + replica.keep_alive_ns

    def _adopt(self, event: events.WorkerReady) -> Replica:
        """Takes over a replica that an earlier scheduler started, with the requests it is running."""
        replica = Replica(
            event.replica, event.host, event.device, event.spec, self.policy.keep_alive_ns, event.slots, self._now
        )
        replica.busy.update(event.active)
        self.replicas[replica.id] = replica
        for key in event.active & self._unwanted.keys():
            self._say(commands.CancelRun(replica.id, key))
            del self._unwanted[key]
        return replica

    def _remove(self, replica: Replica, reason: str) -> None:
        """A worker is gone: what it was running is lost (or was cancelled anyway)."""
        del self.replicas[replica.id]
        for key in replica.busy:
            request = self.requests.get(key)
            if request is not None:
                self._notify(request, notices.lost(reason))
                self._forget(request)

    # ---- saying it ----

    def _say(self, command: Command) -> None:
        self._commands.append(command)

    def _notify(self, request: Request, event: pb.RequestEvent) -> None:
        if request.state is not RequestState.CANCELLING:
            self._say(commands.Notify(request.key, event))

    def _tell_position(self, request: Request, position: int) -> None:
        if request.position != position:
            request.position = position
            self._notify(request, notices.queued(position))

    def _reject(self, request: Request, code: pb.Rejected.Code.ValueType, message: str) -> None:
        self._notify(request, notices.rejected(code, message))
        self._forget(request)

    def _reject_all(self, model: ModelKey, code: pb.Rejected.Code.ValueType, message: str) -> None:
        for request in list(self.queues.get(model, Queue()).values()):
            self._reject(request, code, message)

    def _forget(self, request: Request) -> None:
        self.requests.pop(request.key, None)
        queue = self.queues.get(request.model)
        if queue is not None:
            queue.pop(request.key, None)
            if not queue:
                del self.queues[request.model]
