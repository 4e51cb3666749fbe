"""What REMUDA_DEVICES makes of the devices that were found.

A declared device that exists is capped. One that does not is a card of paper: its workers compute on the CPU.
"""

from collections.abc import Collection, Iterable, Mapping

from remuda.declared_devices import DeclaredDevice
from remuda.devices import KIND_NAMES
from remuda.v1 import serving_pb2 as pb
from workers.host.devices.found import CPU, DeviceKey, Found
from workers.host.devices.pinning import NONE

KINDS: Mapping[str, pb.DeviceKind.ValueType] = {name: kind for kind, name in KIND_NAMES.items()}


def declare(declared: Iterable[DeclaredDevice], found: Iterable[Found], hidden: Collection[DeviceKey]) -> list[Found]:
    """The declared devices in their order, after the CPU where it is not declared.

    The machine has the devices that are `hidden`, and its operator does not let the server use them.
    """
    existing = {each.key: each for each in found}
    devices = [_declared(device, existing.get(key_of(device)), hidden) for device in declared]
    return devices if any(device.key == CPU for device in devices) else [existing[CPU], *devices]


def key_of(declared: DeclaredDevice) -> DeviceKey:
    return DeviceKey(KINDS[declared.kind], declared.index or 0)


def _declared(declared: DeclaredDevice, found: Found | None, hidden: Collection[DeviceKey]) -> Found:
    if found is not None:
        return Found(_capped(declared, found.device), found.driver_name)
    key = key_of(declared)
    # a card that the operator hides stays hidden from the workers of its namesake
    return Found(_paper(declared, key), NONE.get(key.kind, "") if key in hidden else str(key.index))


def _paper(declared: DeclaredDevice, key: DeviceKey) -> pb.Device:
    """A device that does not exist. What replicas take of it is known to the scheduler alone."""
    return pb.Device(
        id=pb.DeviceId(kind=key.kind, index=key.index),
        name=declared.name or declared.id,
        memory_total=declared.total,
        memory_free=declared.bytes_free,
        memory_others=declared.total - declared.bytes_free,
        declared=True,
    )


def _capped(declared: DeclaredDevice, real: pb.Device) -> pb.Device:
    """The real device, no larger than declared. Other processes use the part beyond the cap first."""
    device = pb.Device()
    device.CopyFrom(real)
    device.name = declared.name or real.name
    device.memory_total = min(declared.total, real.memory_total)
    own, room = 0, min(declared.bytes_free, device.memory_total)
    if real.HasField("memory_others"):
        own = max(real.memory_total - real.memory_free - real.memory_others, 0)
        room = max(min(room, real.memory_total - real.memory_others), 0)
        device.memory_others = device.memory_total - room
    device.memory_free = min(real.memory_free, max(room - own, 0))
    return device
