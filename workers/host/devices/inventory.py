"""The devices of this machine and how workers are pinned to them: what was found, within what the operator allows."""

import asyncio
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pynvml as _untyped  # type: ignore[import-untyped]

from remuda.declared_devices import DeclaredDevice, parse_declared_devices
from remuda.devices import KIND_NAMES, is_gpu
from remuda.durations import seconds
from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from workers.host.devices.declared import declare, key_of
from workers.host.devices.engine import ListDevices, Listing, ListingError, device_lister, engine_gpus
from workers.host.devices.found import DeviceKey, Found, LocalWorker
from workers.host.devices.memory import HostMemory
from workers.host.devices.nvidia import Nvidia
from workers.host.devices.pinning import driver_name, pinning

log = get_logger()


class Inventory:
    """Knows the devices from `open` on. GPUs count only when this build of llama.cpp can use them."""

    def __init__(
        self,
        settings: Settings,
        nvml: Any = _untyped,
        list_devices: ListDevices | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Raises ValueError for an unusable REMUDA_DEVICES."""
        self._settings = settings
        self._declared = parse_declared_devices(settings.devices)
        self._nvidia = Nvidia(nvml, environ.get("CUDA_VISIBLE_DEVICES"))
        self._list_devices = list_devices or device_lister(settings.device_list_timeout_ns)
        self._environ = environ
        self._memory = HostMemory()
        self._uses_nvml = False
        self._listing: Listing | None = None
        self._trouble = ""  # why nothing was listed the last time
        self._names: dict[DeviceKey, str] = {}

    async def open(self) -> None:
        """Finds the devices."""
        self._uses_nvml = self._nvidia.start()
        await self._refresh()

    async def watch(self) -> None:
        """Lists llama.cpp's devices again and again, where their memory is known by that alone. For ever."""
        while self._listing is None or self._engine_gpus(self._listing):
            await asyncio.sleep(seconds(self._settings.device_refresh_ns))
            await self._refresh()

    def devices(self, workers: Sequence[LocalWorker]) -> list[pb.Device]:
        """The CPU first, then the GPUs, with their memory as of now. `workers` are this host's."""
        gpus = self._gpus(workers)
        found = [Found(self._memory.device(worker.pid for worker in workers)), *self._usable(gpus)]
        if self._declared is not None:
            found = self._declare(self._declared, found, {gpu.key for gpu in gpus})
        for each in found:
            self._names[each.key] = each.driver_name
            if is_gpu(each.device.id):
                each.device.memory_reserved = self._settings.gpu_overhead
        return [each.device for each in found]

    def pinning(self, devices: Iterable[pb.DeviceId]) -> dict[str, str]:
        """The environment variables of a worker on these devices. It keeps its GPU also while that gives no answer."""
        keys = [DeviceKey.of(device) for device in devices]
        names = {key: self._names.get(key, driver_name(key, self._environ)) for key in keys}
        return pinning(names, self._environ)

    async def _refresh(self) -> None:
        """What was listed last holds where nothing can be listed."""
        try:
            self._listing = await self._list()
            self._trouble = ""
        except ListingError as error:
            if self._trouble != str(error):
                log.warning("llama.cpp's devices could not be listed", error=str(error))
            self._trouble = str(error)

    async def _list(self) -> Listing:
        """Raises ListingError."""
        listing = await self._list_devices(self._uses_nvml)
        if self._uses_nvml and "ROCm" in listing.backends:  # HIP reads CUDA's variable, which hid its GPUs
            self._uses_nvml = False
            return await self._list_devices(False)
        return listing

    def _gpus(self, workers: Sequence[LocalWorker]) -> list[Found]:
        """All GPUs that llama.cpp could use."""
        if self._listing is None:
            return []
        nvidia = self._nvidia.gpus(workers) if self._asks_nvml(self._listing) else []
        return [*nvidia, *self._engine_gpus(self._listing)]

    def _engine_gpus(self, listing: Listing) -> list[Found]:
        known = self._nvidia.pci_ids if self._asks_nvml(listing) else frozenset[str]()
        return engine_gpus(listing, known, self._environ)

    def _asks_nvml(self, listing: Listing) -> bool:
        return self._uses_nvml and "CUDA" in listing.backends

    def _usable(self, gpus: Iterable[Found]) -> Iterable[Found]:
        """Those of the kind that OLLAMA_LLM_LIBRARY names, such as `cuda_v12`; all where it names none."""
        library = self._settings.llm_library
        named = [kind for kind, name in KIND_NAMES.items() if library.startswith(name)]
        return (gpu for gpu in gpus if not named or gpu.key.kind in named)

    def _declare(
        self, declared: Iterable[DeclaredDevice], found: Iterable[Found], gpus: Collection[DeviceKey]
    ) -> list[Found]:
        """`gpus` are all that answer. A declared one that is there and gives no answer is left out."""
        if not self._uses_nvml or (self._listing is not None and not self._asks_nvml(self._listing)):
            return declare(declared, found, gpus)
        nvidia = {DeviceKey(pb.DEVICE_KIND_CUDA, index) for index in range(len(self._nvidia.pci_ids))}
        silent = self._nvidia.keys.difference(gpus)
        return declare((each for each in declared if key_of(each) not in silent), found, nvidia | set(gpus))
