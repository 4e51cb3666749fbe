"""Tells GPUs from CPUs, and names devices for people."""

from collections.abc import Iterable

from remuda.v1 import serving_pb2 as pb

KIND_NAMES = {
    pb.DEVICE_KIND_CPU: "cpu",
    pb.DEVICE_KIND_CUDA: "cuda",
    pb.DEVICE_KIND_ROCM: "rocm",
    pb.DEVICE_KIND_VULKAN: "vulkan",
    pb.DEVICE_KIND_METAL: "metal",
    pb.DEVICE_KIND_SYCL: "sycl",
}


def is_gpu(device: pb.DeviceId) -> bool:
    return device.kind != pb.DEVICE_KIND_CPU


def gpu_memory(devices: Iterable[pb.Device]) -> int:
    """Bytes of all GPUs together, without what is reserved on each."""
    return sum(max(device.memory_total - device.memory_reserved, 0) for device in devices if is_gpu(device.id))


def device_name(device: pb.DeviceId) -> str:
    """`cpu`, or kind and index of a GPU: `cuda:0`."""
    kind = KIND_NAMES.get(device.kind, "unknown")
    return f"{kind}:{device.index}" if is_gpu(device) else kind


def device_names(devices: Iterable[pb.DeviceId]) -> str:
    """The names of all, separated by commas: `cuda:0,cuda:1`."""
    return ",".join(map(device_name, devices))
