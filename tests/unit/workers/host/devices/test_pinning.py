"""What a worker sees of the GPUs."""

import pytest

from remuda.v1 import serving_pb2 as pb
from workers.host.devices.found import CPU, DeviceKey
from workers.host.devices.pinning import driver_name, pinning

CUDA, ROCM, VULKAN = pb.DEVICE_KIND_CUDA, pb.DEVICE_KIND_ROCM, pb.DEVICE_KIND_VULKAN
METAL, SYCL = pb.DEVICE_KIND_METAL, pb.DEVICE_KIND_SYCL
HIDDEN = {
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    "CUDA_VISIBLE_DEVICES": "-1",
    "HIP_VISIBLE_DEVICES": "-1",
    "GGML_VK_VISIBLE_DEVICES": "",
    "ONEAPI_DEVICE_SELECTOR": "opencl:cpu",
}


@pytest.mark.parametrize(
    ("names", "changes"),
    [
        ({CPU: ""}, {}),
        ({}, {}),
        ({DeviceKey(CUDA, 1): "GPU-b"}, {"CUDA_VISIBLE_DEVICES": "GPU-b"}),
        ({DeviceKey(CUDA, 2): "2", DeviceKey(CUDA, 0): "0"}, {"CUDA_VISIBLE_DEVICES": "2,0"}),
        ({DeviceKey(ROCM, 1): "1"}, {"HIP_VISIBLE_DEVICES": "1"}),
        ({DeviceKey(VULKAN, 0): "3"}, {"GGML_VK_VISIBLE_DEVICES": "3"}),
        ({DeviceKey(SYCL, 0): "0", DeviceKey(SYCL, 1): "1"}, {"ONEAPI_DEVICE_SELECTOR": "level_zero:0,1"}),
        ({DeviceKey(METAL, 0): "0"}, {}),
    ],
)
def test_a_worker_sees_its_own_gpus_only(names: dict[DeviceKey, str], changes: dict[str, str]) -> None:
    assert pinning(names, {}) == HIDDEN | changes


@pytest.mark.parametrize(
    ("key", "environ", "name"),
    [
        (DeviceKey(VULKAN, 1), {}, "1"),
        (DeviceKey(VULKAN, 1), {"GGML_VK_VISIBLE_DEVICES": "4,2"}, "2"),
        (DeviceKey(VULKAN, 2), {"GGML_VK_VISIBLE_DEVICES": "4,2"}, "2"),
        (DeviceKey(ROCM, 0), {"HIP_VISIBLE_DEVICES": "3"}, "3"),
        (DeviceKey(ROCM, 0), {"ROCR_VISIBLE_DEVICES": "3"}, "0"),
        (DeviceKey(ROCM, 0), {"CUDA_VISIBLE_DEVICES": "3"}, "3"),
        (DeviceKey(ROCM, 0), {"HIP_VISIBLE_DEVICES": "1", "CUDA_VISIBLE_DEVICES": "3"}, "1"),
        (DeviceKey(SYCL, 1), {"ONEAPI_DEVICE_SELECTOR": "level_zero:2,5"}, "5"),
        (DeviceKey(METAL, 0), {}, "0"),
    ],
)
def test_a_device_is_named_as_the_operators_own_variable_names_it(
    key: DeviceKey, environ: dict[str, str], name: str
) -> None:
    assert driver_name(key, environ) == name


def test_a_sycl_worker_stays_with_the_operators_backend() -> None:
    selector = {"ONEAPI_DEVICE_SELECTOR": "opencl:1,2"}
    assert pinning({DeviceKey(SYCL, 0): "1"}, selector)["ONEAPI_DEVICE_SELECTOR"] == "opencl:1"
