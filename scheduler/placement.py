"""Which devices a new replica goes to."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from remuda.devices import is_gpu
from remuda.v1 import serving_pb2 as pb

Hosts = Mapping[str, tuple[pb.Device, ...]]
"""The devices of each host."""


class Candidate(NamedTuple):
    """A device that a replica may go to."""

    host: str
    device: pb.Device


def choose_placement(spec: pb.ModelSpec, hosts: Hosts, *, spread: bool) -> pb.Placement | None:
    """The GPU with the most free memory, the CPU where there is none or num_gpu is 0; None while there is no host.

    `main_gpu` names the GPU by its index. With `spread` the replica takes all GPUs of a host.
    """
    gpus = [candidate for candidate in _devices(hosts) if is_gpu(candidate.device.id)]
    cpus = [candidate for candidate in _devices(hosts) if not is_gpu(candidate.device.id)]
    wants_gpu = spec.options.num_gpu != 0 or not cpus
    if spec.options.HasField("main_gpu"):
        gpus = [gpu for gpu in gpus if gpu.device.id.index == spec.options.main_gpu] or gpus
    elif spread and gpus and wants_gpu:
        return _all_gpus(gpus)
    return _freest(gpus if gpus and wants_gpu else cpus)


def _devices(hosts: Hosts) -> Iterator[Candidate]:
    return (Candidate(host, device) for host, devices in hosts.items() for device in devices)


def _freest(candidates: list[Candidate]) -> pb.Placement | None:
    if not candidates:
        return None
    host, device = max(candidates, key=lambda candidate: candidate.device.memory_free)
    return pb.Placement(host=host, devices=[device.id])


def _all_gpus(gpus: list[Candidate]) -> pb.Placement:
    """All GPUs of the host whose GPUs have the most free memory together."""
    by_host: defaultdict[str, list[pb.Device]] = defaultdict(list)
    for host, gpu in gpus:
        by_host[host].append(gpu)
    host = max(by_host, key=lambda host: sum(gpu.memory_free for gpu in by_host[host]))
    return pb.Placement(host=host, devices=[gpu.id for gpu in by_host[host]])
