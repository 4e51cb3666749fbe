"""Which replica of its model a request runs on."""

from collections.abc import Iterable

from scheduler.model import Replica, Request


def choose_replica(replicas: Iterable[Replica], request: Request) -> Replica | None:
    """The ready replica with most free slots, of those whose options serve the request. None where all are busy."""
    candidates = [replica for replica in replicas if replica.free_slots and replica.covers(request)]
    return max(candidates, key=lambda replica: replica.free_slots, default=None)
