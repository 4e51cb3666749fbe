"""Which device a new replica goes to, and which replica makes room. Pure functions of what the core knows.

Budgets, splits over several devices and replicas of one model will be decided here too.
"""

from collections.abc import Iterable, Mapping

from remuda.v1 import serving_pb2 as pb
from scheduler.model import Replica, ReplicaState

DEVICES_OF_A_HOST = Mapping[str, tuple[pb.Device, ...]]
MODELS_PER_GPU = 3
"""Ollama's automatic OLLAMA_MAX_LOADED_MODELS: this many for every GPU, and for a machine without one."""


def max_resident(setting: int, hosts: DEVICES_OF_A_HOST) -> int:
    """How many models may be resident: the setting, or the automatic number where it is 0."""
    gpus = sum(device.kind != "cpu" for devices in hosts.values() for device in devices)
    return setting or MODELS_PER_GPU * max(gpus, 1)


def choose_device(spec: pb.ModelSpec, hosts: DEVICES_OF_A_HOST) -> tuple[str, str] | None:
    """(host, device id): the GPU with the most free memory, the CPU where there is none or num_gpu is 0.
    None while no host is there."""
    candidates = [(host, device) for host, devices in hosts.items() for device in devices]
    gpus = [(host, device) for host, device in candidates if device.kind != "cpu"]
    if gpus and spec.options.num_gpu != 0:
        candidates = gpus
    elif any(device.kind == "cpu" for _, device in candidates):
        candidates = [(host, device) for host, device in candidates if device.kind == "cpu"]
    if not candidates:
        return None
    host, device = max(candidates, key=lambda candidate: candidate[1].memory_free)
    return host, device.id


def choose_victim(replicas: Iterable[Replica]) -> Replica | None:
    """The replica to unload for another model: the idle one used longest ago, else the busy one that is nearest to
    idle (it drains). None when nothing that serves can go."""
    candidates = [replica for replica in replicas if replica.state is ReplicaState.READY]
    return min(candidates, key=lambda replica: (len(replica.busy), replica.last_used_ns), default=None)
