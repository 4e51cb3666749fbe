"""How many models may be resident, and which replicas leave for others."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from scheduler.model import ModelKey, Replica, ReplicaState

MODELS_PER_GPU = 3
"""Ollama's automatic OLLAMA_MAX_LOADED_MODELS: this many for every GPU, and for a machine without one."""


def max_resident_models(setting: int, gpus: int) -> int:
    """How many models may be resident: the setting, or the automatic number where it is 0."""
    return setting or MODELS_PER_GPU * max(gpus, 1)


def has_room(model: ModelKey, replicas: Collection[Replica], waiting: Sequence[ModelKey], limit: int) -> bool:
    """Whether the model may have a replica more. A replica takes its room until its worker has exited.

    `waiting` has the models that wait, the longest first. A model that leaves comes back after those before it.
    """
    resident = {replica.model for replica in replicas}
    if any(replica.model == model and replica.is_staying for replica in replicas):
        return True
    before = waiting[: waiting.index(model)] if model in waiting else waiting
    return len(resident | {model} | {other for other in before if other not in resident}) <= limit


def choose_victims(replicas: Collection[Replica], waiting: Iterable[ModelKey], limit: int) -> list[Replica]:
    """The replicas of the model that makes room for those in `waiting`.

    An idle model leaves before a busy one, and of several the one used longest ago. Nobody leaves who is loading, nor
    while those that leave already make room for all who wait.
    """
    staying: defaultdict[ModelKey, list[Replica]] = defaultdict(list)
    for replica in replicas:
        if replica.is_staying:
            staying[replica.model].append(replica)
    newcomers = set(waiting) - staying.keys()
    if len(staying) + len(newcomers) <= limit:
        return []
    candidates = [model for model in staying.values() if all(one.state is ReplicaState.READY for one in model)]
    return min(candidates, key=_usefulness, default=list[Replica]())


def choose_idle(holders: Iterable[tuple[Replica, int]], deficit: int) -> Sequence[Replica]:
    """The idle replicas that free so many bytes: the coldest one that suffices alone, else the fewest.

    `holders` come with the bytes that each would free. Empty where all idle ones together do not suffice.
    """
    idle = sorted((holder for holder in holders if holder[0].is_resting), key=lambda holder: coldness(holder[0]))
    alone = next((replica for replica, size in idle if size >= deficit), None)
    if alone is not None:
        return [alone]
    victims: list[Replica] = []
    for replica, size in sorted(idle, key=lambda holder: -holder[1]):
        if deficit > 0:
            victims.append(replica)
            deficit -= size
    return victims if deficit <= 0 else []


def least_useful(replicas: Iterable[Replica]) -> Replica | None:
    """Who leaves where nobody is idle: the one with the fewest requests, and of several the coldest."""
    ready = (replica for replica in replicas if replica.state is ReplicaState.READY)
    return min(ready, key=lambda replica: (len(replica.busy), coldness(replica)), default=None)


def coldness(replica: Replica) -> tuple[bool, int]:
    """Orders replicas by when they leave: those that were to stay for ever come last."""
    return replica.keep_alive_ns < 0, replica.last_used_ns


def _usefulness(replicas: list[Replica]) -> tuple[int, int]:
    running = sum(len(replica.busy) for replica in replicas)
    return running, max(replica.last_used_ns for replica in replicas)
