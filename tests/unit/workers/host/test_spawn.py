"""What a worker process is started with."""

import pytest

from remuda.v1 import serving_pb2 as pb
from workers.host.spawn import device_environment

CPU = pb.DeviceId(kind=pb.DEVICE_KIND_CPU)


def gpu(index: int) -> pb.DeviceId:
    return pb.DeviceId(kind=pb.DEVICE_KIND_CUDA, index=index)


@pytest.mark.parametrize(("devices", "visible"), [([CPU], "-1"), ([gpu(1)], "1"), ([gpu(0), gpu(2)], "0,2")])
def test_a_worker_sees_its_own_gpus_only(devices: list[pb.DeviceId], visible: str) -> None:
    assert device_environment(devices)["CUDA_VISIBLE_DEVICES"] == visible
