"""What NVML tells of GPUs becomes what the host reports."""

import pynvml
import pytest
import structlog
from support.fake_nvml import Card, FakeNvml, Process

from remuda.v1 import serving_pb2 as pb
from workers.host.devices.found import DeviceKey, LocalWorker
from workers.host.devices.nvidia import Nvidia, pci_id

KEY = DeviceKey(pb.DEVICE_KIND_CUDA, 0)
WORKERS = [LocalWorker(7, frozenset({KEY})), LocalWorker(8, frozenset({DeviceKey(pb.DEVICE_KIND_CUDA, 1)}))]


def started(nvml: FakeNvml, visible: str | None = None) -> Nvidia:
    nvidia = Nvidia(nvml, visible)
    assert nvidia.start()
    return nvidia


def uuids(nvidia: Nvidia) -> list[tuple[int, str]]:
    return [(found.device.id.index, found.driver_name) for found in nvidia.gpus([])]


def test_a_gpu_is_reported_with_its_name_sizes_and_uuid() -> None:
    (found,) = started(FakeNvml(Card("GPU-a", total=1000, free=600))).gpus([])
    assert found.device == pb.Device(
        id=pb.DeviceId(kind=pb.DEVICE_KIND_CUDA, index=0),
        name="Card GPU-a",
        memory_total=1000,
        memory_free=600,
        uuid="GPU-a",
        memory_others=400,
    )


@pytest.mark.parametrize(
    ("processes", "others"),
    [
        ([Process(7, 150)], 250),
        ([Process(7, 150), Process(99, 200)], 250),
        ([Process(7, 500)], 0),
        ([Process(7, None)], None),
        ([Process(99, 200)], None),
        ([], None),
        (None, None),
    ],
)
def test_what_this_hosts_workers_hold_is_not_that_of_others(
    processes: list[Process] | None, others: int | None
) -> None:
    (found,) = started(FakeNvml(Card("GPU-a", processes=processes))).gpus(WORKERS)
    assert (found.device.memory_others if found.device.HasField("memory_others") else None) == others


def test_without_own_workers_all_that_is_used_is_used_by_others() -> None:
    (found,) = started(FakeNvml(Card("GPU-a", processes=None))).gpus([])
    assert found.device.memory_others == 400


def test_indices_count_the_visible_gpus_in_the_operators_order() -> None:
    nvml = FakeNvml(Card("GPU-a"), Card("GPU-b"), Card("GPU-c"))
    assert uuids(started(nvml, "2,0")) == [(0, "GPU-c"), (1, "GPU-a")]


def test_a_divided_gpu_is_its_parts() -> None:
    divided = Card("GPU-b", parts=[Card("MIG-1", total=100, free=90), Card("MIG-2")])
    nvml = FakeNvml(Card("GPU-a", parts=[]), divided)
    assert uuids(started(nvml)) == [(0, "GPU-a"), (1, "MIG-1"), (2, "MIG-2")]
    assert uuids(started(nvml, "MIG-2")) == [(0, "MIG-2")]
    assert started(nvml).gpus([])[1].device.memory_total == 100


def test_the_fake_has_no_function_that_nvml_lacks() -> None:
    assert {name for name in dir(FakeNvml) if name.startswith("nvml")} <= set(dir(pynvml))


def test_a_machine_without_a_driver_has_no_nvidia_gpus() -> None:
    assert not Nvidia(FakeNvml(has_driver=False), None).start()


def test_a_lost_gpu_is_left_out_until_it_answers_and_keeps_its_index() -> None:
    nvml = FakeNvml(Card("GPU-a"), Card("GPU-b"))
    nvidia = started(nvml)
    nvml.cards[0].is_lost = True
    with structlog.testing.capture_logs() as logs:
        assert uuids(nvidia) == uuids(nvidia) == [(1, "GPU-b")]
        nvml.cards[0].is_lost = False
        assert uuids(nvidia) == [(0, "GPU-a"), (1, "GPU-b")]
    assert [(log["log_level"], log["gpu"]) for log in logs] == [("warning", "GPU-a"), ("info", "GPU-a")]
    assert nvml.starts == 1


def test_a_restarted_driver_is_asked_anew() -> None:
    nvml = FakeNvml(Card("GPU-a"))
    nvidia = started(nvml)
    nvml.has_driver = False
    assert nvidia.gpus([]) == []
    assert nvidia.gpus([]) == []
    nvml.has_driver = True
    assert uuids(nvidia) == [(0, "GPU-a")]
    assert nvml.starts == 2


def test_pci_addresses_are_written_as_llama_cpp_writes_them() -> None:
    assert pci_id("00000000:C1:00.0") == "0000:c1:00.0"
    assert started(FakeNvml(Card("GPU-a"), Card("GPU-b", pci_id="00000001:02:00.0")), "0").pci_ids == {
        "0000:c1:00.0",
        "0001:02:00.0",
    }
