"""The scheduler's state machine: events in, commands out. No socket, no clock, no thread.

A request waits in its model's queue until a replica of that model has a free slot. Each queue is advanced on its own,
so that a slow load delays nobody but those who want that model.
"""

from typing import assert_never

from remuda.v1 import serving_pb2 as pb
from scheduler import commands, events, keep_alive, notices
from scheduler.adoption import Adoption
from scheduler.commands import Command
from scheduler.events import Event
from scheduler.measurements import Failed, Subject
from scheduler.model import ModelKey, Replica, ReplicaState, Request, RequestKey, RequestState
from scheduler.placement import sizes_of
from scheduler.residence import Residence
from scheduler.routing import choose_replica
from scheduler.state import Policy, State


class Core:
    """Decides what happens. `handle` is the only way in; `state` is there to be read."""

    def __init__(self, policy: Policy, first_replica: int = 1) -> None:
        """Replicas get ids from `first_replica` on; lower ones were started by an earlier scheduler."""
        self.state = State(policy)
        self._adoption = Adoption(self.state, first_replica)
        self._residence = Residence(self.state, self._adoption, first_replica)

    def handle(self, event: Event, now_ns: int) -> list[Command]:  # noqa: C901 (one case for each kind of event)
        """Takes one event at monotonic time `now_ns` and returns what has to be done, in order."""
        self.state.now_ns = now_ns
        match event:
            case events.Submitted(request):
                self._submit(request)
            case events.Cancelled(key):
                self._cancel(key)
            case events.UnloadRequested(model_path):
                self._unload(model_path)
            case events.HostJoined():
                self._host_joined(event)
            case events.HostReported():
                self._host_reported(event)
            case events.WorkerLoading():
                self._worker_loading(event)
            case events.WorkerReady():
                self._worker_ready(event)
            case events.WorkerFailed():
                self._worker_failed(event)
            case events.WorkerExited():
                self._worker_exited(event)
            case events.WorkerReported():
                self._worker_reported(event)
            case events.Measured():
                self._measured(event)
            case events.RequestFinished():
                self._request_finished(event)
            case events.Ticked():
                self._tick()
            case _:
                assert_never(event)
        return self.state.take_commands()

    @property
    def next_deadline_ns(self) -> int | None:
        """When `Ticked` is due next: the earliest end of a keep-alive, a load or a wait for an answer."""
        replicas = self.state.replicas.values()
        deadlines = [replica.expires_at_ns for replica in replicas]
        deadlines += [self._residence.load_deadline_ns(replica) for replica in replicas]
        deadlines += [*self._adoption.deadlines_ns, self.state.measurements.deadline_ns]
        deadlines += self._residence.scale_up_deadlines_ns
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    # ---- requests ----

    def _submit(self, request: Request) -> None:
        state = self.state
        if not state.queues.has_room(request) and not self._runs_at_once(request):
            state.reject(request, pb.Rejected.CODE_QUEUE_FULL, notices.QUEUE_FULL)
            return
        state.requests[request.key] = request
        request.submitted_ns = state.now_ns
        state.queues.add(request)
        self._advance(request.model)
        if request in state.queues:
            state.tell_position(request, state.queues.length(request.model) - 1)

    def _runs_at_once(self, request: Request) -> bool:
        """Whether nobody waits before the request, and a slot is free for it."""
        is_first = self.state.queues.first(request.model) is None
        return is_first and choose_replica(self.state.replicas_of(request.model), request) is not None

    def _cancel(self, key: RequestKey) -> None:
        request = self.state.requests.get(key)
        if request is None:
            self._adoption.cancel(key)
        elif request.state is RequestState.WAITING:
            self.state.forget(request)
            self._residence.abandon_loads(request.model)
            self._advance(request.model)
        elif request.state is RequestState.RUNNING:
            assert request.replica is not None
            request.state = RequestState.CANCELLING
            self.state.say(commands.CancelRun(request.replica, key))

    def _request_finished(self, event: events.RequestFinished) -> None:
        replica = self.state.replicas.get(event.replica)
        if replica is None:
            self.state.say(commands.Identify(event.replica))
            return
        request = self.state.requests.get(event.key)
        if request is not None and request.replica == replica.id:
            self.state.notify(request, notices.finished(event.finished))
            self.state.forget(request)
        replica.busy.discard(event.key)
        replica.last_used_ns = self.state.now_ns
        self._advance(replica.model)

    def _unload(self, model_path: str) -> None:
        models = {r.model for r in self.state.replicas.values() if r.spec.model_path == model_path}
        for model in models:
            self._residence.unload(model)

    # ---- hosts ----

    def _host_joined(self, event: events.HostJoined) -> None:
        self.state.incarnations[event.host] = event.incarnation
        self.state.ledger.report(event.host, event.devices)
        self.state.measurements.forget_questions()
        on_host = [replica for replica in self.state.replicas.values() if replica.host == event.host]
        for replica in on_host:
            if replica.id not in event.workers:
                self._residence.remove(replica, "its worker host was restarted")
        self._adoption.identify(event.workers - self.state.replicas.keys())
        self._advance_all()

    def _host_reported(self, event: events.HostReported) -> None:
        if event.host in self.state.ledger.hosts:
            self.state.ledger.report(event.host, event.devices)
            self._advance_all()
        else:
            self.state.say(commands.IdentifyHost(event.host))

    def _measured(self, event: events.Measured) -> None:
        match self.state.measurements.answer(event.id, event.footprints, event.error):
            case Failed() as failed:
                self._residence.fail_measurement(failed)
            case Subject(model):
                self._advance(model)
            case None:
                pass

    # ---- workers ----

    def _worker_loading(self, event: events.WorkerLoading) -> None:
        replica = self.state.replicas.get(event.replica)
        if replica is None or replica.state is not ReplicaState.LOADING:
            return
        replica.progress, replica.last_progress_ns = event.fraction, self.state.now_ns
        for request in self.state.queues.of(replica.model):
            if replica.covers(request):
                self.state.notify(request, notices.loading(event.fraction))

    def _worker_ready(self, event: events.WorkerReady) -> None:
        replica = self.state.replicas.get(event.replica)
        if replica is None and self._adoption.is_own(event.replica):
            # its host has reported it gone: these are its last words, or a process that nobody accounts for
            self.state.say(commands.StopWorker(event.placement.host, event.replica))
            return
        replica = replica or self._adoption.adopt(event)
        self._adoption.settle(replica.id)
        if replica.state is ReplicaState.LOADING:
            replica.state = ReplicaState.READY
        replica.progress = 1.0
        replica.slots, replica.num_ctx = event.slots, event.num_ctx
        replica.size, replica.size_vram = event.size, event.size_vram
        self.state.ledger.loaded(replica.id)
        self.state.ledger.raise_to(replica.id, sizes_of(replica))
        self._advance_all()
        self._residence.rest(replica.model)

    def _worker_failed(self, event: events.WorkerFailed) -> None:
        replica = self.state.replicas.get(event.replica)
        if replica is not None and replica.state is ReplicaState.LOADING:
            replica.state = ReplicaState.STOPPING  # its process is about to exit
            self._residence.fail_load(replica, event.error)

    def _worker_exited(self, event: events.WorkerExited) -> None:
        self._adoption.settle(event.replica)
        replica = self.state.replicas.get(event.replica)
        if replica is None:
            return
        if replica.state is ReplicaState.LOADING:
            self._residence.fail_load(replica, f"the worker ended while loading: {event.reason}")
        self._residence.remove(replica, event.reason)
        if event.devices and event.host in self.state.ledger.hosts:
            self.state.ledger.report(event.host, event.devices)
        self._advance_all()

    def _worker_reported(self, event: events.WorkerReported) -> None:
        replica = self.state.replicas.get(event.replica)
        if replica is None:
            self.state.say(commands.Identify(event.replica))
        else:
            replica.stats = event.stats

    # ---- time ----

    def _tick(self) -> None:
        for replica in list(self.state.replicas.values()):
            self._end_overdue(replica)
        for failed in self.state.measurements.take_late(self.state.now_ns):
            self._residence.fail_measurement(failed)
        self._adoption.give_up_late()
        self._advance_all()
        for position, request in self.state.queues.places():
            self.state.tell_position(request, position)

    def _end_overdue(self, replica: Replica) -> None:
        """Stops a replica whose keep-alive has ended, or whose load makes no progress."""
        load_deadline = self._residence.load_deadline_ns(replica)
        if keep_alive.is_over(replica, self.state.now_ns):
            self._residence.stop(replica)
        elif load_deadline is not None and load_deadline <= self.state.now_ns:
            self._residence.stop(replica)
            self._residence.fail_load(replica, notices.LOAD_STALLED)

    # ---- queues ----

    def _advance_all(self) -> None:
        """Who has waited longest comes first, so that no model keeps another from ever being loaded."""
        for model in self.state.queues.models:
            self._advance(model)

    def _advance(self, model: ModelKey) -> None:
        """Gives free slots to the first requests of a model's queue; provides a replica for the next one."""
        while (request := self.state.queues.first(model)) is not None:
            replica = choose_replica(self.state.replicas_of(model), request)
            if replica is None:
                self._residence.provide(request)
                break
            self._dispatch(request, replica)
        self._residence.rest(model)

    def _dispatch(self, request: Request, replica: Replica) -> None:
        self.state.queues.discard(request)
        keep_alive.renew(replica, request)
        replica.last_used_ns = self.state.now_ns
        self.state.notify(request, notices.running(replica.id))
        if request.work is None:  # only the model was wanted
            self.state.forget(request)
            return
        request.state, request.replica = RequestState.RUNNING, replica.id
        replica.busy.add(request.key)
        self.state.say(commands.Run(replica.id, request))
