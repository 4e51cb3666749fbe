"""Which devices a new replica goes to."""

import pytest

from remuda.v1 import serving_pb2 as pb
from scheduler.placement import choose_placement

CPU = pb.Device(id=pb.DeviceId(kind=pb.DEVICE_KIND_CPU), memory_free=500)


def gpu(index: int, memory_free: int) -> pb.Device:
    return pb.Device(id=pb.DeviceId(kind=pb.DEVICE_KIND_CUDA, index=index), memory_free=memory_free)


SMALL, LARGE, OTHER = gpu(0, 10), gpu(1, 20), gpu(0, 25)
HOSTS = {"a": (CPU, SMALL, LARGE), "b": (CPU, OTHER)}


def spec(num_gpu: int = -1, main_gpu: int | None = None) -> pb.ModelSpec:
    return pb.ModelSpec(options=pb.LoadOptions(num_gpu=num_gpu, main_gpu=main_gpu))


def on(host: str, *devices: pb.Device) -> pb.Placement:
    return pb.Placement(host=host, devices=[device.id for device in devices])


@pytest.mark.parametrize(
    ("spec", "spread", "placement"),
    [
        (spec(), False, on("b", OTHER)),
        (spec(num_gpu=0), False, on("a", CPU)),
        (spec(num_gpu=0), True, on("a", CPU)),
        (spec(main_gpu=1), False, on("a", LARGE)),
        (spec(main_gpu=1), True, on("a", LARGE)),
        (spec(main_gpu=7), False, on("b", OTHER)),
        (spec(num_gpu=0, main_gpu=1), False, on("a", CPU)),
        (spec(), True, on("a", SMALL, LARGE)),
    ],
)
def test_where_a_replica_goes(spec: pb.ModelSpec, spread: bool, placement: pb.Placement) -> None:
    assert choose_placement(spec, HOSTS, spread=spread) == placement


@pytest.mark.parametrize("spread", [False, True])
def test_without_gpus_it_is_the_cpu_and_without_hosts_nothing(spread: bool) -> None:
    assert choose_placement(spec(), {"a": (CPU,)}, spread=spread) == on("a", CPU)
    assert choose_placement(spec(), {}, spread=spread) is None
