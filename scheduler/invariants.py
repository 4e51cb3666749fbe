"""What holds after every event, whatever happened. The simulation checks it; it changes nothing."""

from collections.abc import Iterator

from scheduler.eviction import max_resident_models
from scheduler.model import Replica, ReplicaState, RequestKey, RequestState
from scheduler.routing import choose_replica
from scheduler.state import State


def violations(state: State) -> list[str]:
    """The rules that the state breaks, each in words."""
    broken = [*_of_requests(state), *_of_models(state), *_of_devices(state)]
    for replica in state.replicas.values():
        broken += [f"{rule} (replica {replica.id})" for rule in _of_replica(state, replica)]
    return broken


def _of_requests(state: State) -> Iterator[str]:
    waiting = [request for _, request in state.queues.places()]
    places: list[RequestKey] = [request.key for request in waiting]
    for replica in state.replicas.values():
        places += [key for key in replica.busy if key in state.requests]
    if len(waiting) != len(state.queues):
        yield "the number of waiting requests is wrong"
    if len(waiting) > state.policy.max_queue:
        yield "the queue is longer than its bound"
    if sum(request.size for request in waiting) != state.queues.bytes:
        yield "the number of waiting bytes is wrong"
    if state.queues.bytes > state.policy.queue_bytes:
        yield "the queue has more bytes than its bound"
    if not len(places) == len(set(places)) == len(state.requests):
        yield "a request is in two places, or in none"
    if any(request.state is not RequestState.WAITING for request in waiting):
        yield "a request waits in the queue and is in another state"


def _of_models(state: State) -> Iterator[str]:
    limit = max_resident_models(state.policy.max_loaded_models, len(state.ledger.gpus()))
    if len({replica.model for replica in state.replicas.values()}) > limit:
        yield "there are more models than allowed"
    for model in state.queues.models:
        request = state.queues.first(model)
        assert request is not None
        if choose_replica(state.replicas_of(model), request) is not None:
            yield "a slot is free beside a waiting request that it could serve"


def _of_devices(state: State) -> Iterator[str]:
    for key, account in state.ledger.accounts.items():
        if account.promised > account.capacity:
            yield f"more is promised of {key} than it has"
        if not account.promises.keys() <= state.replicas.keys():
            yield f"bytes of {key} are promised to a replica that is gone"


def _of_replica(state: State, replica: Replica) -> Iterator[str]:
    siblings = [other for other in state.replicas_of(replica.model) if other.is_staying]
    if len(replica.busy) > replica.slots:
        yield "more requests than slots"
    for key in replica.busy:
        if key in state.requests and state.requests[key].replica != replica.id:
            yield "a slot is held by a request that runs elsewhere"
    if state.max_replicas == 1 and replica.state is ReplicaState.LOADING and not _is_awaited(state, replica):
        yield "a load that nobody waits for"
    if len(siblings) > state.max_replicas:
        yield "more replicas of a model than allowed"
    if replica.expires_at_ns is not None and not replica.is_resting:
        yield "the keep-alive of a replica runs that is not idle"
    if replica.expires_at_ns is None and replica.is_resting and replica.keep_alive_ns >= 0:
        yield "an idle replica whose keep-alive does not run"


def _is_awaited(state: State, replica: Replica) -> bool:
    return any(map(replica.covers, state.queues.of(replica.model)))
