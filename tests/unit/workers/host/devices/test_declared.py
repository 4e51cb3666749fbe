"""What REMUDA_DEVICES makes of a machine's devices."""

from typing import Any

import pytest

from remuda.declared_devices import DeclaredDevice
from remuda.v1 import serving_pb2 as pb
from workers.host.devices.declared import declare
from workers.host.devices.found import CPU, DeviceKey, Found

CUDA = pb.DEVICE_KIND_CUDA
HOST = Found(pb.Device(id=pb.DeviceId(kind=pb.DEVICE_KIND_CPU), name="CPU", memory_total=5000, memory_free=4000))


def declared(**fields: Any) -> DeclaredDevice:
    return DeclaredDevice(**({"id": "gpu0", "kind": "cuda", "index": 0, "total": 400} | fields))


def card(total: int, free: int, others: int | None) -> Found:
    device = pb.Device(id=pb.DeviceId(kind=CUDA), name="Card", memory_total=total, memory_free=free, uuid="GPU-a")
    if others is not None:
        device.memory_others = others
    return Found(device, "GPU-a")


def test_a_device_that_does_not_exist_is_of_the_declared_size_and_pinned_by_its_index() -> None:
    cpu, paper = declare([declared(index=3, free=300)], [HOST], ())
    assert cpu == HOST
    assert paper.driver_name == "3"
    assert paper.device == pb.Device(
        id=pb.DeviceId(kind=CUDA, index=3),
        name="gpu0",
        memory_total=400,
        memory_free=300,
        memory_others=100,
        declared=True,
    )


@pytest.mark.parametrize(
    ("real", "fields", "capped"),
    [
        # total, free and others; then the same of what is reported
        ((1000, 1000, 0), {}, (400, 400, 0)),
        ((1000, 800, 200), {}, (400, 400, 0)),
        ((1000, 800, 0), {}, (400, 200, 0)),
        ((1000, 300, 700), {}, (400, 300, 100)),
        ((1000, 200, 700), {}, (400, 200, 100)),
        ((1000, 1000, 0), {"free": 100}, (400, 100, 300)),
        ((300, 300, 0), {}, (300, 300, 0)),
        ((1000, 100, None), {}, (400, 100, None)),
        ((1000, 900, None), {"free": 50}, (400, 50, None)),
    ],
)
def test_a_device_that_exists_is_capped(
    real: tuple[int, int, int | None], fields: dict[str, int], capped: tuple[int, int, int | None]
) -> None:
    _, found = declare([declared(**fields)], [HOST, card(*real)], ())
    device = found.device
    others = device.memory_others if device.HasField("memory_others") else None
    assert (device.memory_total, device.memory_free, others) == capped
    assert (found.driver_name, device.uuid, device.name, device.declared) == ("GPU-a", "GPU-a", "Card", False)


def test_devices_that_are_not_declared_are_not_there() -> None:
    assert [found.key for found in declare([], [HOST, card(1, 1, 0)], ())] == [CPU]


def test_a_declared_cpu_caps_the_hosts_memory_and_is_not_added_again() -> None:
    (cpu,) = declare([declared(id="ram", kind="cpu", index=None, total=1000)], [HOST], ())
    assert (cpu.device.memory_total, cpu.device.memory_free, cpu.device.declared) == (1000, 1000, False)


def test_a_card_that_its_operator_hides_stays_hidden_from_the_workers_of_its_namesake() -> None:
    _, paper = declare([declared()], [HOST], {DeviceKey(CUDA, 0)})
    assert (paper.device.declared, paper.driver_name) == (True, "-1")
