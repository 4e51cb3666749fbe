"""Workers that an earlier scheduler started: asked what they are, and taken over with the requests they are running."""

from collections.abc import Iterable

from scheduler import commands, events
from scheduler.model import Replica, RequestKey
from scheduler.placement import shares_of
from scheduler.state import State

CANCELLATIONS_KEPT = 10_000
"""Cancellations of unknown requests that are remembered: more than a crowd of clients leaves behind in the second of a
restart, and too few to fill a memory."""

IDENTIFY_TIMEOUT_NS = 2_000_000_000
"""How long no worker is started because one of before the restart has not said yet what it is. One that serves answers
within a step. One that is loading cannot answer, and is adopted when it is ready."""


class Adoption:
    """What is not known yet about workers of before this scheduler's start."""

    def __init__(self, state: State, first_replica: int) -> None:
        """Replicas with ids below `first_replica` were started by an earlier scheduler."""
        self._state = state
        self._first_replica = first_replica
        self._deadlines: dict[int, int] = {}  # of the workers that were asked what they are
        self._cancellations: dict[RequestKey, None] = {}  # of requests that no known worker runs, oldest first

    @property
    def is_pending(self) -> bool:
        """Whether a worker has yet to say which model it has: it may be the very one that a request waits for."""
        return bool(self._deadlines)

    @property
    def deadlines_ns(self) -> Iterable[int]:
        return self._deadlines.values()

    def is_own(self, replica: int) -> bool:
        """Whether this scheduler has started the replica."""
        return replica >= self._first_replica

    def identify(self, replicas: Iterable[int]) -> None:
        """Asks workers that a host runs what they are."""
        for replica in replicas:
            self._deadlines.setdefault(replica, self._state.now_ns + IDENTIFY_TIMEOUT_NS)
            self._state.say(commands.Identify(replica))

    def settle(self, replica: int) -> None:
        """A worker has said what it is, or is gone."""
        self._deadlines.pop(replica, None)

    def give_up_late(self) -> None:
        """Waits no longer for workers that have not answered in time."""
        late = [replica for replica, deadline in self._deadlines.items() if deadline <= self._state.now_ns]
        for replica in late:
            del self._deadlines[replica]

    def cancel(self, key: RequestKey) -> None:
        """Cancels a request of an earlier scheduler's time, now or when its worker is adopted."""
        runner = next((replica for replica in self._state.replicas.values() if key in replica.busy), None)
        if runner is not None:
            self._state.say(commands.CancelRun(runner.id, key))
            return
        self._cancellations[key] = None
        if len(self._cancellations) > CANCELLATIONS_KEPT:
            del self._cancellations[next(iter(self._cancellations))]

    def adopt(self, event: events.WorkerReady) -> Replica:
        """Takes over a replica and cancels those of its requests that nobody wants any more."""
        state = self._state
        replica = Replica(
            event.replica, event.placement, event.spec, state.policy.keep_alive_ns, event.slots, state.now_ns
        )
        replica.busy.update(event.active)
        state.replicas[replica.id] = replica
        state.ledger.promise(replica.id, shares_of(event.placement))
        for key in event.active & self._cancellations.keys():
            state.say(commands.CancelRun(replica.id, key))
            del self._cancellations[key]
        return replica
