"""The environment variables that show a worker its own GPUs only."""

from collections.abc import Iterable, Mapping

from remuda.v1 import serving_pb2 as pb
from workers.host.devices.found import DeviceKey

VARIABLES: Mapping[pb.DeviceKind.ValueType, str] = {
    pb.DEVICE_KIND_CUDA: "CUDA_VISIBLE_DEVICES",
    pb.DEVICE_KIND_ROCM: "HIP_VISIBLE_DEVICES",
    pb.DEVICE_KIND_VULKAN: "GGML_VK_VISIBLE_DEVICES",
    pb.DEVICE_KIND_SYCL: "ONEAPI_DEVICE_SELECTOR",
}
"""By the kind of GPU. Metal has one GPU, and nothing hides it. ROCR_VISIBLE_DEVICES stays the operator's:
HIP_VISIBLE_DEVICES counts what it leaves."""

NONE: Mapping[pb.DeviceKind.ValueType, str] = {
    pb.DEVICE_KIND_CUDA: "-1",
    pb.DEVICE_KIND_ROCM: "-1",
    pb.DEVICE_KIND_VULKAN: "",  # a -1 would be an error
    pb.DEVICE_KIND_SYCL: "opencl:cpu",
}
"""What hides all GPUs of a kind."""

PCI_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""Indices are NVML's. CUDA's own order puts the fastest GPU first."""


def pinning(names: Mapping[DeviceKey, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a worker on these devices, each with its driver's name for it: it touches no other's device."""
    return PCI_ORDER | {variable: _value(kind, names, environ) for kind, variable in VARIABLES.items()}


def driver_name(key: DeviceKey, environ: Mapping[str, str]) -> str:
    """What the driver's variable calls the visible device `key`: its entry in the operator's own, else its index.

    Vulkan's own indices also count devices that llama.cpp passes over. Where those stand before GPUs, the operator has
    to set GGML_VK_VISIBLE_DEVICES.
    """
    entries = [entry.strip() for entry in _operators(key.kind, environ).rpartition(":")[2].split(",")]
    return entries[key.index] if key.index < len(entries) and entries[key.index] else str(key.index)


def _value(kind: pb.DeviceKind.ValueType, names: Mapping[DeviceKey, str], environ: Mapping[str, str]) -> str:
    chosen = ",".join(_of_kind(kind, names))
    if chosen and kind == pb.DEVICE_KIND_SYCL:
        backend = _operators(kind, environ).rpartition(":")[0]
        return f"{backend or 'level_zero'}:{chosen}"
    return chosen or NONE[kind]


def _of_kind(kind: pb.DeviceKind.ValueType, names: Mapping[DeviceKey, str]) -> Iterable[str]:
    return (name for key, name in names.items() if key.kind == kind)


def _operators(kind: pb.DeviceKind.ValueType, environ: Mapping[str, str]) -> str:
    """The operator's own choice of devices. Where HIP's variable is unset, HIP reads CUDA's."""
    own = environ.get(VARIABLES[kind], "") if kind in VARIABLES else ""
    return own or (environ.get("CUDA_VISIBLE_DEVICES", "") if kind == pb.DEVICE_KIND_ROCM else "")
