"""Which device a new replica goes to, and which replica makes room. Pure functions of what the core knows.

Budgets, splits over several devices and replicas of one model will be decided here too.
"""

from collections import defaultdict
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


def choose_device(spec: pb.ModelSpec, hosts: DEVICES_OF_A_HOST, *, spread: bool) -> tuple[str, str] | None:
    """(host, device) for a new replica: the GPU with the most free memory of those that it may go to, with `spread` all
    GPUs of a host; the CPU where there is none or num_gpu is 0. None while no host is there."""
    gpus = [(host, device) for host, devices in hosts.items() for device in devices if device.kind != "cpu"]
    cpus = [(host, device) for host, devices in hosts.items() for device in devices if device.kind == "cpu"]
    wants_gpu = spec.options.num_gpu != 0 or not cpus
    if spec.options.HasField("main_gpu"):
        gpus = [(host, gpu) for host, gpu in gpus if _index(gpu) == spec.options.main_gpu] or gpus
    elif spread and gpus and wants_gpu:
        return _all_gpus(gpus)
    return _freest(gpus if gpus and wants_gpu else cpus)


def _freest(candidates: list[tuple[str, pb.Device]]) -> tuple[str, str] | None:
    if not candidates:
        return None
    host, device = max(candidates, key=lambda candidate: candidate[1].memory_free)
    return host, device.id


def _all_gpus(gpus: list[tuple[str, pb.Device]]) -> tuple[str, str]:
    """Of the host whose GPUs have the most free memory together: "cuda:0,cuda:1"."""
    by_host: defaultdict[str, list[pb.Device]] = defaultdict(list)
    for host, gpu in gpus:
        by_host[host].append(gpu)
    host = max(by_host, key=lambda host: sum(gpu.memory_free for gpu in by_host[host]))
    return host, ",".join(gpu.id for gpu in by_host[host])


def _index(gpu: pb.Device) -> int:
    """A GPU's place on its host: 1 of "cuda:1"."""
    return int(gpu.id.rpartition(":")[2])


def choose_victim(replicas: Iterable[Replica]) -> Replica | None:
    """The replica to unload for another model: the idle one used longest ago, else the busy one that is nearest to
    idle (it drains). None when nothing that serves can go."""
    candidates = [replica for replica in replicas if replica.state is ReplicaState.READY]
    return min(candidates, key=lambda replica: (len(replica.busy), replica.last_used_ns), default=None)
