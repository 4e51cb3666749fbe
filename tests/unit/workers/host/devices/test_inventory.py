"""All sources of devices together."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from support.fake_nvml import Card, FakeNvml

from remuda.devices import device_names
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from workers.host.devices.engine import EngineDevice, Listing, ListingError
from workers.host.devices.inventory import Inventory

CUDA_BUILD = ["CUDA", "Vulkan", "CPU"]
CARDS = FakeNvml(Card("GPU-a", pci_id="00000000:C1:00.0"), Card("GPU-b", pci_id="00000000:C2:00.0"))
RADEON = EngineDevice(backend="Vulkan", description="Radeon", type=1, total=100, free=90, pci_id="0000:03:00.0")
SAME_AS_A = EngineDevice(backend="Vulkan", description="Card", type=1, total=100, free=90, pci_id="0000:c1:00.0")


@dataclass(slots=True)
class Engine:
    """Answers as llama.cpp would. Without an answer it fails."""

    answers: list[Listing] = field(default_factory=list[Listing])
    asked: list[bool] = field(default_factory=list[bool])
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, without_cuda: bool) -> Listing:
        self.asked.append(without_cuda)
        self.was_asked.set()
        if not self.answers:
            raise ListingError("signal SIGSEGV")
        return self.answers.pop(0)


async def opened(
    nvml: FakeNvml, *answers: Listing, environ: Mapping[str, str] | None = None, **settings: Any
) -> Inventory:
    inventory = Inventory(Settings(**settings), nvml, Engine(list(answers)), environ or {})
    await inventory.open()
    return inventory


def names(inventory: Inventory) -> str:
    return device_names(device.id for device in inventory.devices([]))


def cuda(index: int) -> pb.DeviceId:
    return pb.DeviceId(kind=pb.DEVICE_KIND_CUDA, index=index)


async def test_a_gpu_that_nvml_lists_is_not_listed_twice() -> None:
    inventory = await opened(CARDS, Listing(backends=CUDA_BUILD, devices=[SAME_AS_A, RADEON]))
    assert names(inventory) == "cpu,cuda:0,cuda:1,vulkan:1"


async def test_a_hidden_nvidia_gpu_does_not_come_back_as_a_vulkan_device() -> None:
    listing = Listing(backends=CUDA_BUILD, devices=[SAME_AS_A])
    inventory = await opened(CARDS, listing, environ={"CUDA_VISIBLE_DEVICES": "1"})
    assert names(inventory) == "cpu,cuda:0"
    assert inventory.pinning([cuda(0)])["CUDA_VISIBLE_DEVICES"] == "GPU-b"


async def test_a_build_without_cuda_uses_no_nvidia_gpu_by_cuda() -> None:
    inventory = await opened(CARDS, Listing(backends=["CPU"]))
    assert names(inventory) == "cpu"
    inventory = await opened(CARDS, Listing(backends=["Vulkan", "CPU"], devices=[SAME_AS_A]))
    assert names(inventory) == "cpu,vulkan:0"


async def test_gpus_of_cuda_are_llama_cpps_where_nvml_is_missing() -> None:
    jetson = EngineDevice(backend="CUDA", description="Orin", type=1, total=100, free=90, pci_id="")
    engine = Engine([Listing(backends=["CUDA", "CPU"], devices=[jetson])])
    inventory = Inventory(Settings(), FakeNvml(has_driver=False), engine, {"CUDA_VISIBLE_DEVICES": "4"})
    await inventory.open()
    assert engine.asked == [False]
    assert names(inventory) == "cpu,cuda:0"
    assert inventory.pinning([cuda(0)])["CUDA_VISIBLE_DEVICES"] == "4"


async def test_a_rocm_build_beside_an_nvidia_gpu_is_listed_without_hiding_its_gpus() -> None:
    radeon = EngineDevice(backend="ROCm", description="Radeon", type=1, total=100, free=90, pci_id="")
    backends = ["ROCm", "CPU"]
    engine = Engine([Listing(backends=backends), Listing(backends=backends, devices=[radeon])])
    inventory = Inventory(Settings(), CARDS, engine, {})
    await inventory.open()
    assert engine.asked == [True, False]
    assert names(inventory) == "cpu,rocm:0"


async def test_a_library_of_ollama_narrows_the_kinds() -> None:
    listing = Listing(backends=CUDA_BUILD, devices=[RADEON])
    for library, expected in [
        ("cpu", "cpu"),
        ("CPU_AVX2", "cpu"),
        ("cuda_v12", "cpu,cuda:0,cuda:1"),
        ("vulkan", "cpu,vulkan:0"),
        ("mlx_cuda", "cpu,cuda:0,cuda:1,vulkan:0"),
    ]:
        assert names(await opened(CARDS, listing, OLLAMA_LLM_LIBRARY=library)) == expected


async def test_the_overhead_is_reserved_on_each_gpu() -> None:
    inventory = await opened(CARDS, Listing(backends=CUDA_BUILD), OLLAMA_GPU_OVERHEAD="70")
    assert [device.memory_reserved for device in inventory.devices([])] == [0, 70, 70]


async def test_declared_devices_replace_those_that_are_found() -> None:
    declared = [{"id": f"gpu{index}", "kind": "cuda", "index": index, "total": 100} for index in (1, 5)]
    inventory = await opened(CARDS, Listing(backends=CUDA_BUILD), REMUDA_DEVICES=json.dumps(declared))
    _, capped, paper = inventory.devices([])
    assert (capped.uuid, capped.memory_total, capped.declared) == ("GPU-b", 100, False)
    assert (paper.id.index, paper.memory_total, paper.declared) == (5, 100, True)
    assert inventory.pinning([cuda(1)])["CUDA_VISIBLE_DEVICES"] == "GPU-b"
    assert inventory.pinning([cuda(5)])["CUDA_VISIBLE_DEVICES"] == "5"


async def test_a_declared_gpu_whose_operator_forbids_gpus_is_not_really_used() -> None:
    declared = json.dumps([{"id": "gpu0", "kind": "cuda", "index": 0, "total": 100}])
    inventory = await opened(CARDS, Listing(backends=CUDA_BUILD), REMUDA_DEVICES=declared, OLLAMA_LLM_LIBRARY="cpu")
    assert [device.declared for device in inventory.devices([])] == [False, True]
    assert inventory.pinning([cuda(0)])["CUDA_VISIBLE_DEVICES"] == "-1"


async def test_a_build_without_cuda_takes_declared_gpus_for_paper_beside_real_ones() -> None:
    declared = json.dumps([{"id": "gpu0", "kind": "cuda", "index": 0, "total": 100}])
    inventory = await opened(CARDS, Listing(backends=["CPU"]), REMUDA_DEVICES=declared)
    assert [device.declared for device in inventory.devices([])] == [False, True]
    assert inventory.pinning([cuda(0)])["CUDA_VISIBLE_DEVICES"] == "0"


async def test_no_declared_gpu_is_taken_for_paper_while_nobody_knows_the_build() -> None:
    declared = json.dumps([{"id": f"gpu{index}", "kind": "cuda", "index": index, "total": 100} for index in (1, 5)])
    inventory = await opened(CARDS, REMUDA_DEVICES=declared)
    assert names(inventory) == "cpu,cuda:5"


async def test_a_declared_gpu_that_is_lost_is_left_out_and_its_workers_stay_pinned_to_it() -> None:
    nvml = FakeNvml(Card("GPU-a"))
    declared = json.dumps([{"id": "gpu0", "kind": "cuda", "index": 0, "total": 100}])
    inventory = await opened(nvml, Listing(backends=CUDA_BUILD), REMUDA_DEVICES=declared)
    assert names(inventory) == "cpu,cuda:0"
    nvml.cards[0].is_lost = True
    assert names(inventory) == "cpu"
    assert inventory.pinning([cuda(0)])["CUDA_VISIBLE_DEVICES"] == "GPU-a"


async def test_what_was_listed_last_holds_where_llama_cpp_fails() -> None:
    before = Listing(backends=["Vulkan", "CPU"], devices=[RADEON])
    engine = Engine([before])
    inventory = Inventory(Settings(REMUDA_DEVICE_REFRESH="1ms"), FakeNvml(has_driver=False), engine, {})
    await inventory.open()
    with structlog.testing.capture_logs() as logs:
        await asked_again(inventory, engine, 3)
        assert [log["error"] for log in logs] == ["signal SIGSEGV"]
        assert inventory.devices([])[1].memory_free == 90
        engine.answers.append(Listing(backends=before.backends, devices=[RADEON.model_copy(update={"free": 40})]))
        await asked_again(inventory, engine, 1)
    assert inventory.devices([])[1].memory_free == 40


async def asked_again(inventory: Inventory, engine: Engine, times: int) -> None:
    """Watches until llama.cpp has been asked so many times more, and has answered."""
    watch = asyncio.create_task(inventory.watch())
    for _ in range(times):
        engine.was_asked.clear()
        await engine.was_asked.wait()
    watch.cancel()


async def test_nvidia_gpus_alone_need_no_further_listings() -> None:
    inventory = await opened(CARDS, Listing(backends=CUDA_BUILD))
    await inventory.watch()
    assert names(inventory) == "cpu,cuda:0,cuda:1"


async def test_a_machine_whose_devices_cannot_be_listed_computes_on_its_cpu() -> None:
    assert names(await opened(CARDS)) == "cpu"
