"""NVIDIA's GPUs, by NVML: which of them are visible, and their memory as of now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from remuda.logs import get_logger
from remuda.v1 import serving_pb2 as pb
from workers.host.devices.found import DeviceKey, Found, LocalWorker, pids_on
from workers.host.devices.visible import visible_uuids

log = get_logger()

NVML = "NVML"


@dataclass(frozen=True, slots=True)
class Cards:
    """What NVML showed when it was first asked. Indices stay what they are when a GPU is lost."""

    visible: tuple[str, ...]
    pci_ids: frozenset[str]


class Nvidia:
    """The visible GPUs. One that fails is left out until it answers again; each failure is logged once."""

    def __init__(self, nvml: Any, visible: str | None) -> None:
        """`nvml` is the module `pynvml`, `visible` is CUDA_VISIBLE_DEVICES."""
        self._nvml = nvml
        self._visible = visible
        self._failed: set[str] = set()
        self._running = False
        self._cards: Cards | None = None

    def start(self) -> bool:
        """Whether this machine has a driver that answers."""
        try:
            self._nvml.nvmlInit()
            self._cards = self._look()
        except self._nvml.NVMLError:
            return False
        self._running = True
        return True

    @property
    def keys(self) -> frozenset[DeviceKey]:
        """The visible GPUs, also those that do not answer."""
        visible = self._cards.visible if self._cards else ()
        return frozenset(DeviceKey(pb.DEVICE_KIND_CUDA, index) for index in range(len(visible)))

    @property
    def pci_ids(self) -> frozenset[str]:
        """The PCI addresses of all GPUs, visible or not: `0000:c1:00.0`."""
        return self._cards.pci_ids if self._cards else frozenset()

    def gpus(self, workers: Sequence[LocalWorker]) -> list[Found]:
        """The visible GPUs that answer. `workers` are this host's, whose memory is not that of others."""
        if self._cards is None or not self._runs():
            return []
        answers = [self._ask(index, uuid, workers) for index, uuid in enumerate(self._cards.visible)]
        found = [answer for answer in answers if answer is not None]
        self._running = bool(found) or not answers  # all are gone where the driver was restarted
        return found

    def _look(self) -> Cards:
        """Raises NVMLError."""
        nvml = self._nvml
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        chosen = visible_uuids(self._visible, [str(nvml.nvmlDeviceGetUUID(handle)) for handle in handles], self._knows)
        visible = [part for uuid in chosen for part in self._parts(uuid)]
        return Cards(tuple(visible), frozenset(pci_id(nvml.nvmlDeviceGetPciInfo(handle).busId) for handle in handles))

    def _knows(self, uuid: str) -> bool:
        try:
            self._nvml.nvmlDeviceGetHandleByUUID(uuid)
        except self._nvml.NVMLError:
            return False
        return True

    def _parts(self, uuid: str) -> list[str]:
        """The parts of a GPU that is divided (MIG), which has no memory for CUDA of its own; else the GPU itself."""
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        try:
            current, _ = nvml.nvmlDeviceGetMigMode(handle)
            slots = range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)) if current else ()
        except nvml.NVMLError:  # it cannot be divided, or is a part itself
            return [uuid]
        return [part for slot in slots if (part := self._part(handle, slot))] if current else [uuid]

    def _part(self, handle: Any, slot: int) -> str:
        try:
            return str(self._nvml.nvmlDeviceGetUUID(self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, slot)))
        except self._nvml.NVMLError:  # the slot is empty
            return ""

    def _runs(self) -> bool:
        """Starts NVML anew where nothing answered the last time."""
        if self._running:
            return True
        try:
            self._shut_down()
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            self._fail(NVML, error)
            return False
        self._recover(NVML)
        return True

    def _shut_down(self) -> None:
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:  # it did not run
            return

    def _ask(self, index: int, uuid: str, workers: Iterable[LocalWorker]) -> Found | None:
        try:
            found = self._gpu(DeviceKey(pb.DEVICE_KIND_CUDA, index), uuid, workers)
        except self._nvml.NVMLError as error:
            self._fail(uuid, error)
            return None
        self._recover(uuid)
        return found

    def _gpu(self, key: DeviceKey, uuid: str, workers: Iterable[LocalWorker]) -> Found:
        """Raises NVMLError."""
        handle = self._nvml.nvmlDeviceGetHandleByUUID(uuid)
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        own = self._held(handle, pids_on(key, workers))
        device = pb.Device(
            id=pb.DeviceId(kind=key.kind, index=key.index),
            name=str(self._nvml.nvmlDeviceGetName(handle)),
            memory_total=memory.total,
            memory_free=memory.free,
            uuid=uuid,
            memory_others=None if own is None else max(memory.total - memory.free - own, 0),
        )
        return Found(device, uuid)

    def _held(self, handle: Any, pids: Iterable[int]) -> int | None:
        """Bytes that these processes hold; None where NVML does not tell it of each of them.

        It may not know a process in a container, nor one that has not touched the GPU yet.
        """
        pids = set(pids)
        if not pids:
            return 0
        try:
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except self._nvml.NVMLError:
            return None
        held = {process.pid: process.usedGpuMemory for process in processes if process.usedGpuMemory is not None}
        return sum(held[pid] for pid in pids) if pids <= held.keys() else None

    def _fail(self, what: str, error: Exception) -> None:
        if what not in self._failed:
            self._failed.add(what)
            log.warning("a GPU cannot be asked and is not used", gpu=what, error=str(error))

    def _recover(self, what: str) -> None:
        if what in self._failed:
            self._failed.remove(what)
            log.info("a GPU answers again", gpu=what)


def pci_id(text: str) -> str:
    """NVML's PCI address as llama.cpp writes it: `00000000:C1:00.0` is `0000:c1:00.0`."""
    domain, _, rest = text.lower().partition(":")
    return f"{domain[-4:]}:{rest}"
