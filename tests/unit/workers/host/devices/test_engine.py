"""The devices that llama.cpp lists."""

import sys
from pathlib import Path

import pytest

from remuda.durations import NANOSECONDS
from remuda.v1 import serving_pb2 as pb
from workers.host.devices.engine import EngineDevice, Listing, ListingError, device_lister, engine_gpus
from workers.host.devices.found import DeviceKey

ROCM, VULKAN = pb.DEVICE_KIND_ROCM, pb.DEVICE_KIND_VULKAN
CPU, GPU, INTEGRATED = 0, 1, 2


def device(backend: str, kind: int = GPU, pci_id: str = "") -> EngineDevice:
    return EngineDevice(backend=backend, description=f"A {backend}", type=kind, total=1000, free=900, pci_id=pci_id)


def keys(devices: list[EngineDevice], known: set[str]) -> list[DeviceKey]:
    return [found.key for found in engine_gpus(Listing(devices=devices), known, {})]


async def test_this_build_lists_its_cpu_backend() -> None:
    listing = await device_lister(30 * NANOSECONDS["s"])(True)
    assert "CPU" in listing.backends
    assert any(each.type == CPU and each.total > 0 for each in listing.devices)


async def test_a_process_that_dies_is_an_error_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", "/nowhere")
    with pytest.raises(ListingError, match=r"exit status 1: (.|\n)*/nowhere"):
        await device_lister(30 * NANOSECONDS["s"])(False)


async def test_a_process_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ListingError, match=r"longer than 0\.1 s"):
        await device_lister(NANOSECONDS["s"] // 10)(False)


def test_a_gpu_is_reported_as_llama_cpp_describes_it() -> None:
    (found,) = engine_gpus(Listing(devices=[device("CPU", CPU), device("ROCm")]), (), {"HIP_VISIBLE_DEVICES": "5"})
    assert found.driver_name == "5"
    assert found.device == pb.Device(id=pb.DeviceId(kind=ROCM), name="A ROCm", memory_total=1000, memory_free=900)


@pytest.mark.parametrize(
    ("devices", "known", "expected"),
    [
        ([], set(), []),
        ([device("CPU", CPU), device("BLAS", 3), device("CANN")], set(), []),
        ([device("Vulkan"), device("Vulkan")], set(), [DeviceKey(VULKAN, 0), DeviceKey(VULKAN, 1)]),
        ([device("Vulkan", pci_id="a"), device("Vulkan", pci_id="b")], {"a"}, [DeviceKey(VULKAN, 1)]),
        ([device("Vulkan", INTEGRATED), device("Vulkan")], set(), [DeviceKey(VULKAN, 1)]),
        ([device("Vulkan", INTEGRATED)], set(), [DeviceKey(VULKAN, 0)]),
        ([device("Vulkan", INTEGRATED)], {"a"}, []),
        ([device("MTL")], set(), [DeviceKey(pb.DEVICE_KIND_METAL, 0)]),
        ([device("SYCL")], set(), [DeviceKey(pb.DEVICE_KIND_SYCL, 0)]),
    ],
)
def test_gpus_count_once_and_integrated_ones_only_where_there_is_no_other(
    devices: list[EngineDevice], known: set[str], expected: list[DeviceKey]
) -> None:
    assert keys(devices, known) == expected
