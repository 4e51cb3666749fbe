"""What devices are called."""

from remuda.devices import device_names, gpu_memory, is_gpu
from remuda.v1 import serving_pb2 as pb

CPU = pb.DeviceId(kind=pb.DEVICE_KIND_CPU)
GPUS = [pb.DeviceId(kind=pb.DEVICE_KIND_CUDA, index=index) for index in (0, 2)]

OTHER_KINDS = (
    *(pb.DEVICE_KIND_ROCM, pb.DEVICE_KIND_VULKAN),
    *(pb.DEVICE_KIND_METAL, pb.DEVICE_KIND_SYCL),
)


def test_devices_have_names_for_people() -> None:
    assert device_names([CPU]) == "cpu"
    assert device_names(GPUS) == "cuda:0,cuda:2"
    assert device_names([pb.DeviceId(kind=kind) for kind in OTHER_KINDS]) == "rocm:0,vulkan:0,metal:0,sycl:0"


def test_every_device_but_the_cpu_is_a_gpu() -> None:
    assert [is_gpu(device) for device in (CPU, *GPUS)] == [False, True, True]


def test_what_is_reserved_on_a_gpu_does_not_count_as_its_memory() -> None:
    reserved = {"memory_total": 100, "memory_reserved": 30}
    small = pb.Device(id=GPUS[1], memory_total=20, memory_reserved=30)
    cpu = pb.Device(id=CPU, memory_total=1000)
    assert gpu_memory([cpu, pb.Device(id=GPUS[0], **reserved), small]) == 70
