"""The lines about devices that an operator reads at the start."""

from typing import Any

import pytest

from remuda.supervisor.ready import device_line
from remuda.v1 import serving_pb2 as pb


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "vulkan:2  Radeon  1.0 GiB of 2.0 GiB free"),
        ({"memory_reserved": 1 << 20}, "vulkan:2  Radeon  1.0 GiB of 2.0 GiB free, 1.0 MiB kept free"),
        ({"declared": True}, "vulkan:2  Radeon  1.0 GiB of 2.0 GiB free, declared, computes on the CPU"),
    ],
)
def test_a_device_is_one_line(fields: dict[str, Any], line: str) -> None:
    device = pb.Device(
        id=pb.DeviceId(kind=pb.DEVICE_KIND_VULKAN, index=2),
        name="Radeon",
        memory_total=2 << 30,
        memory_free=1 << 30,
        **fields,
    )
    assert device_line(device) == line
