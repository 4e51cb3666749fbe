"""What devices are called."""

from remuda.devices import device_names, is_gpu
from remuda.v1 import serving_pb2 as pb

CPU = pb.DeviceId(kind=pb.DEVICE_KIND_CPU)
GPUS = [pb.DeviceId(kind=pb.DEVICE_KIND_CUDA, index=index) for index in (0, 2)]


def test_devices_have_names_for_people() -> None:
    assert device_names([CPU]) == "cpu"
    assert device_names(GPUS) == "cuda:0,cuda:2"


def test_every_device_but_the_cpu_is_a_gpu() -> None:
    assert [is_gpu(device) for device in (CPU, *GPUS)] == [False, True, True]
