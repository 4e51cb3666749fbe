"""The lives of replicas: started, loading, resting, drained, stopped."""

from collections import Counter
from collections.abc import Collection, Iterable

from remuda.v1 import serving_pb2 as pb
from scheduler import commands, keep_alive, notices
from scheduler.adoption import Adoption
from scheduler.eviction import choose_victims, has_room, max_resident_models
from scheduler.ledger import DeviceKey, Shares
from scheduler.measurements import Failed, Subject
from scheduler.model import ModelKey, Replica, ReplicaState, Request
from scheduler.placement import Fit, Never, Wait, Wish, decide
from scheduler.state import State

RETRY_PAUSE_NS = 30_000_000_000
"""How long a model gets no further replica after one has failed to load beside others that serve. It failed most likely
for lack of memory, and would fail again."""


class Residence:
    """Decides which replicas there are."""

    def __init__(self, state: State, adoption: Adoption, first_replica: int) -> None:
        self._state = state
        self._adoption = adoption
        self._next_replica = first_replica
        self._retry_at_ns: dict[ModelKey, int] = {}  # models that get no further replica before then
        self._reservations: dict[ModelKey, Shares] = {}  # what models wait for that others have yet to leave

    # ---- start ----

    def provide(self, request: Request) -> None:
        """Sees to it that a replica will serve the first request of a queue, which no free slot can take now.

        Replicas that were loaded with other options leave. A new one starts beside them, where both fit.
        """
        siblings = self._state.replicas_of(request.model)
        serving = [replica for replica in siblings if replica.is_staying and replica.covers(request)]
        if serving:
            self._add_replica(request, serving)
            return
        for replica in siblings:
            if replica.state is ReplicaState.READY:
                self.drain(replica)
        if not any(replica.is_staying for replica in siblings):
            self._start_or_make_room(request)

    def _add_replica(self, request: Request, serving: list[Replica]) -> None:
        """Starts one more replica of a model whose replicas are all busy, where the policy and the devices allow it.

        Nobody leaves for it.
        """
        is_loading = any(replica.state is ReplicaState.LOADING for replica in serving)
        is_paused = self._state.now_ns < self._retry_at_ns.get(request.model, 0)
        is_early = self._state.now_ns < self._scale_up_ns(request)
        if is_loading or is_paused or is_early or self._adoption.is_pending:
            return
        staying = [replica for replica in self._state.replicas_of(request.model) if replica.is_staying]
        if len(staying) < self._state.max_replicas:
            self._place(request, is_further=True)

    @property
    def scale_up_deadlines_ns(self) -> Iterable[int]:
        """When waiting requests will have waited long enough for another replica."""
        if self._state.max_replicas == 1:
            return []
        return [due for first in self._state.queues.firsts if (due := self._scale_up_ns(first)) > self._state.now_ns]

    def _scale_up_ns(self, request: Request) -> int:
        return request.submitted_ns + self._state.policy.scale_up_after_ns

    def _start_or_make_room(self, request: Request) -> None:
        state = self._state
        limit = max_resident_models(state.policy.max_loaded_models, len(state.ledger.gpus()))
        if not state.ledger.hosts or self._adoption.is_pending:
            return  # a host will join, or a worker says that it has this very model
        if has_room(request.model, state.replicas.values(), state.queues.models, limit):
            self._place(request, is_further=False)
            return
        for victim in choose_victims(state.replicas.values(), state.queues.models, limit):
            self.drain(victim)

    def _place(self, request: Request, *, is_further: bool) -> None:
        """Starts a replica where its bytes fit, once they are known; or sees to it that they will."""
        state = self._state
        sizes = state.measurements.sizes(request.spec)
        if sizes is None:
            if (question := state.measurements.ask(request.spec, state.ledger, state.now_ns)) is not None:
                state.say(question)
            return
        reserved = self._reserved_before(request)
        wish = Wish(sizes, request.spec.options, state.policy.spread, is_further, reserved)
        match decide(wish, state.ledger, state.replicas.values()):
            case Fit() as fit:
                self._start(request, fit)
            case Wait(shares, victims):
                self._reservations[request.model] = shares
                for victim in victims:
                    self.drain(victim)
            case Never(reason):
                self._reject_all(Subject.of(request.spec), reason)

    def _reserved_before(self, request: Request) -> Shares:
        """What models need whose requests have waited longer: room that is being made for them is not taken away."""
        reserved: Counter[DeviceKey] = Counter()
        for model, shares in list(self._reservations.items()):
            first = self._state.queues.first(model)
            if first is None:
                del self._reservations[model]
            elif first.arrival < request.arrival:
                reserved.update(shares)
        return reserved

    def _start(self, request: Request, fit: Fit) -> None:
        state, policy = self._state, self._state.policy
        keep_alive_ns = policy.keep_alive_ns if request.keep_alive_ns is None else request.keep_alive_ns
        replica = Replica(self._next_replica, fit.placement, request.spec, keep_alive_ns, fit.slots, state.now_ns)
        self._next_replica += 1
        self._retry_at_ns.pop(request.model, None)
        self._reservations.pop(request.model, None)
        state.replicas[replica.id] = replica
        state.ledger.promise(replica.id, fit.shares)
        state.say(commands.StartWorker(replica, state.incarnations[replica.host]))

    # ---- measuring ----

    def fail_measurement(self, failed: Failed) -> None:
        """Rejects those who wait for a model that cannot be measured."""
        self._reject_all(failed.subject, failed.reason)

    def _reject_all(self, subject: Subject, reason: str) -> None:
        """Rejects those who wait for such a replica, and whom no other one serves."""
        siblings = [replica for replica in self._state.replicas_of(subject.model) if replica.is_staying]
        waiting = [each for each in self._state.queues.of(subject.model) if Subject.of(each.spec) == subject]
        self._reject_unserved(waiting, siblings, reason)

    def _reject_unserved(self, waiting: Iterable[Request], siblings: Collection[Replica], reason: str) -> None:
        for request in waiting:
            if not any(sibling.covers(request) for sibling in siblings):
                self._state.reject(request, pb.Rejected.CODE_LOAD_FAILED, reason)

    # ---- loading ----

    def load_deadline_ns(self, replica: Replica) -> int | None:
        """When a load without progress is given up; None = never, or it is not loading."""
        if replica.state is not ReplicaState.LOADING or self._state.policy.load_timeout_ns <= 0:
            return None
        return replica.last_progress_ns + self._state.policy.load_timeout_ns

    def fail_load(self, replica: Replica, reason: str) -> None:
        """Rejects those who waited for this load and whom no other replica will serve."""
        state = self._state
        siblings = [other for other in state.replicas_of(replica.model) if other is not replica and other.is_staying]
        if siblings:
            self._retry_at_ns[replica.model] = state.now_ns + RETRY_PAUSE_NS
        self._reject_unserved(filter(replica.covers, state.queues.of(replica.model)), siblings, reason)

    def abandon_loads(self, model: ModelKey) -> None:
        """Stops the loads of a model that nobody waits for any more."""
        waiting = self._state.queues.of(model)
        for replica in self._state.replicas_of(model):
            if replica.state is ReplicaState.LOADING and not any(map(replica.covers, waiting)):
                self.stop(replica)

    def unload(self, model: ModelKey) -> None:
        """Stops the replicas of a model as soon as they are idle, and loads that only preloads wait for."""
        replicas = [replica for replica in self._state.replicas_of(model) if replica.is_staying]
        for replica in replicas:
            keep_alive.end(replica)
        if any(replica.state is ReplicaState.LOADING for replica in replicas):
            for request in self._state.queues.of(model):
                if request.work is None:
                    self._state.reject(request, pb.Rejected.CODE_LOAD_FAILED, notices.UNLOADED)
            self.abandon_loads(model)
        self.rest(model)

    # ---- end ----

    def rest(self, model: ModelKey) -> None:
        """Starts the keep-alive of replicas that have nothing to do; stops those that were to leave."""
        for replica in self._state.replicas_of(model):
            keep_alive.begin(replica, self._state.now_ns)
            has_drained = replica.state is ReplicaState.DRAINING and replica.is_idle
            if has_drained or keep_alive.is_over(replica, self._state.now_ns):
                self.stop(replica)

    def drain(self, replica: Replica) -> None:
        """Takes no new request to a replica, and stops it once it is idle."""
        replica.state = ReplicaState.DRAINING
        if replica.is_idle:
            self.stop(replica)

    def stop(self, replica: Replica) -> None:
        replica.state, replica.expires_at_ns = ReplicaState.STOPPING, None
        self._state.say(commands.StopWorker(replica.host, replica.id))

    def remove(self, replica: Replica, reason: str) -> None:
        """A worker is gone: the requests that it was running are lost."""
        del self._state.replicas[replica.id]
        self._state.ledger.release(replica.id)
        for key in replica.busy:
            request = self._state.requests.get(key)
            if request is not None:
                self._state.notify(request, notices.lost(reason))
                self._state.forget(request)
