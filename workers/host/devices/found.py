"""A device that was found on this machine, and who of this host's workers is on it."""

from collections.abc import Iterable
from dataclasses import dataclass

from remuda.v1 import serving_pb2 as pb


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A DeviceId that can be compared and looked up."""

    kind: pb.DeviceKind.ValueType
    index: int

    @classmethod
    def of(cls, device: pb.DeviceId) -> "DeviceKey":
        return cls(device.kind, device.index)


CPU = DeviceKey(pb.DEVICE_KIND_CPU, 0)


@dataclass(frozen=True, slots=True)
class Found:
    """A device, and how its driver's variable names it (`CUDA_VISIBLE_DEVICES`)."""

    device: pb.Device
    driver_name: str = ""

    @property
    def key(self) -> DeviceKey:
        return DeviceKey.of(self.device.id)


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """A worker process of this host, and the devices that it was placed on."""

    pid: int
    devices: frozenset[DeviceKey]


def pids_on(key: DeviceKey, workers: Iterable[LocalWorker]) -> list[int]:
    return [worker.pid for worker in workers if key in worker.devices]
