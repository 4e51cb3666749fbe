"""Which device a new replica goes to."""

import pytest

from remuda.v1 import serving_pb2 as pb
from scheduler.placement import choose_device

CPU = pb.Device(id="cpu", kind="cpu", memory_free=500)
SMALL = pb.Device(id="cuda:0", kind="cuda", memory_free=10)
LARGE = pb.Device(id="cuda:1", kind="cuda", memory_free=20)
HOSTS = {"a": (CPU, SMALL, LARGE), "b": (CPU, pb.Device(id="cuda:0", kind="cuda", memory_free=25))}


def asked(num_gpu: int = -1, main_gpu: int | None = None) -> pb.ModelSpec:
    return pb.ModelSpec(options=pb.LoadOptions(num_gpu=num_gpu, main_gpu=main_gpu))


@pytest.mark.parametrize(
    ("spec", "spread", "place"),
    [
        (asked(), False, ("b", "cuda:0")),
        (asked(num_gpu=0), False, ("a", "cpu")),
        (asked(num_gpu=0), True, ("a", "cpu")),
        (asked(main_gpu=1), False, ("a", "cuda:1")),
        (asked(main_gpu=1), True, ("a", "cuda:1")),
        (asked(main_gpu=7), False, ("b", "cuda:0")),
        (asked(num_gpu=0, main_gpu=1), False, ("a", "cpu")),
        (asked(), True, ("a", "cuda:0,cuda:1")),
    ],
)
def test_where_a_replica_goes(spec: pb.ModelSpec, spread: bool, place: tuple[str, str]) -> None:
    assert choose_device(spec, HOSTS, spread=spread) == place


@pytest.mark.parametrize("spread", [False, True])
def test_without_gpus_it_is_the_cpu_and_without_hosts_nothing(spread: bool) -> None:
    assert choose_device(asked(), {"a": (CPU,)}, spread=spread) == ("a", "cpu")
    assert choose_device(asked(), {}, spread=spread) is None
