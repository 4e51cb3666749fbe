"""The devices that workers of this machine can run on, and their memory."""

from typing import Any, cast

import psutil
import pynvml as _untyped  # type: ignore[import-untyped]

from remuda.v1 import serving_pb2 as pb
from workers.cores import usable_cores

nvml: Any = _untyped


class Probe:
    """Lists devices. GPUs count only when this build of llama.cpp can use them."""

    def __init__(self) -> None:
        self._gpus = _engine_offloads() and _nvml_starts()

    def devices(self) -> list[pb.Device]:
        """The CPU first, then the GPUs in NVML's order, with their memory as of now."""
        return [_cpu(), *(_gpu(index) for index in range(nvml.nvmlDeviceGetCount() if self._gpus else 0))]


def _cpu() -> pb.Device:
    memory = psutil.virtual_memory()
    name = f"CPU, {usable_cores()} cores"
    return pb.Device(
        id=pb.DeviceId(kind=pb.DEVICE_KIND_CPU),
        name=name,
        memory_total=memory.total,
        memory_free=memory.available,
    )


def _gpu(index: int) -> pb.Device:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return pb.Device(
        id=pb.DeviceId(kind=pb.DEVICE_KIND_CUDA, index=index),
        name=str(nvml.nvmlDeviceGetName(handle)),
        memory_total=memory.total,
        memory_free=memory.free,
    )


def _engine_offloads() -> bool:
    import llama_cpp.llama_cpp as engine  # a quarter of a second, and only this question needs it

    return bool(cast(Any, engine).llama_supports_gpu_offload())


def _nvml_starts() -> bool:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return False
    return True
