"""How many models may be resident, and which one leaves for another."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from remuda.devices import is_gpu
from scheduler.model import ModelKey, Replica, ReplicaState
from scheduler.placement import Hosts

MODELS_PER_GPU = 3
"""Ollama's automatic OLLAMA_MAX_LOADED_MODELS: this many for every GPU, and for a machine without one."""


def max_resident_models(setting: int, hosts: Hosts) -> int:
    """How many models may be resident: the setting, or the automatic number where it is 0."""
    gpus = sum(is_gpu(device.id) for devices in hosts.values() for device in devices)
    return setting or MODELS_PER_GPU * max(gpus, 1)


def has_room(model: ModelKey, replicas: Iterable[Replica], limit: int) -> bool:
    """Whether the model may have a replica more. A replica takes its room until its worker has exited."""
    resident = {replica.model for replica in replicas}
    return model in resident or len(resident) < limit


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


def _usefulness(replicas: list[Replica]) -> tuple[int, int]:
    running = sum(len(replica.busy) for replica in replicas)
    return running, max(replica.last_used_ns for replica in replicas)
