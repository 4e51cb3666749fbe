"""The devices that llama.cpp itself lists: it asks a short-lived process.

Opening a device takes memory on it, and a broken driver may end the process that does.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from enum import IntEnum

from pydantic import BaseModel, ValidationError

from remuda.durations import seconds
from remuda.process import exit_reason
from remuda.v1 import serving_pb2 as pb
from workers.host.devices.found import DeviceKey, Found
from workers.host.devices.pinning import NONE, PCI_ORDER, VARIABLES, driver_name

KINDS: Mapping[str, pb.DeviceKind.ValueType] = {
    "CUDA": pb.DEVICE_KIND_CUDA,
    "ROCm": pb.DEVICE_KIND_ROCM,
    "Vulkan": pb.DEVICE_KIND_VULKAN,
    "MTL": pb.DEVICE_KIND_METAL,
    "SYCL": pb.DEVICE_KIND_SYCL,
}
"""llama.cpp's names of the backends for GPUs."""

MAX_REASON = 500
"""Characters of what a process that died printed last."""


class DeviceType(IntEnum):
    """ggml-backend.h's enum ggml_backend_dev_type, as far as GPUs go."""

    GPU = 1
    INTEGRATED = 2


class EngineDevice(BaseModel):
    """A device as llama.cpp describes it. Sizes are bytes."""

    backend: str
    description: str
    type: int
    total: int
    free: int
    pci_id: str


class Listing(BaseModel):
    """The backends that this build of llama.cpp has, and their devices."""

    backends: list[str] = []
    devices: list[EngineDevice] = []


class ListingError(Exception):
    """llama.cpp's devices could not be listed."""


ListDevices = Callable[[bool], Awaitable[Listing]]
"""Lists llama.cpp's devices, without CUDA's where the argument says so. Raises ListingError."""


def device_lister(timeout_ns: int) -> ListDevices:
    """A process that takes longer than `timeout_ns` is killed."""

    async def list_devices(without_cuda: bool) -> Listing:
        return await _list_devices(timeout_ns, without_cuda)

    return list_devices


async def _list_devices(timeout_ns: int, without_cuda: bool) -> Listing:
    command = (sys.executable, "-m", "workers.host.devices.engine_child", str(int(seconds(timeout_ns)) + 1))
    environment = os.environ | PCI_ORDER | {"GGML_NO_BACKTRACE": "1"}
    if without_cuda:
        environment[VARIABLES[pb.DEVICE_KIND_CUDA]] = NONE[pb.DEVICE_KIND_CUDA]
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True
        )
    except OSError as error:
        raise ListingError(f"the process could not be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(seconds(timeout_ns)):
            answer, printed = await process.communicate()
    except TimeoutError:
        raise ListingError(f"it took longer than {seconds(timeout_ns):g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _read(answer, printed, process.returncode or 0)


def _read(answer: bytes, printed: bytes, status: int) -> Listing:
    if status:
        words = printed.decode("utf-8", "replace").strip()[-MAX_REASON:]
        raise ListingError(f"{exit_reason(status)}: {words}" if words else exit_reason(status))
    try:
        return Listing.model_validate_json(answer)
    except ValidationError as error:
        raise ListingError("its answer is no list of devices") from error


def engine_gpus(listing: Listing, known: Collection[str], environ: Mapping[str, str]) -> list[Found]:
    """The GPUs of a listing, but for those whose PCI addresses are `known`.

    As in llama.cpp, integrated GPUs count only where there is no other.
    """
    gpus = [gpu for gpu in _gpus(listing, environ) if not gpu[0].pci_id or gpu[0].pci_id not in known]
    dedicated = [found for device, found in gpus if device.type == DeviceType.GPU]
    return dedicated if dedicated or known else [found for _, found in gpus]


def _gpus(listing: Listing, environ: Mapping[str, str]) -> Iterator[tuple[EngineDevice, Found]]:
    """Indices are llama.cpp's: they count all devices of a backend."""
    counts: Counter[pb.DeviceKind.ValueType] = Counter()
    for device in listing.devices:
        kind = KINDS.get(device.backend)
        if kind is None:
            continue
        key = DeviceKey(kind, counts[kind])
        counts[kind] += 1
        if device.type in (DeviceType.GPU, DeviceType.INTEGRATED):
            yield device, Found(_device(key, device), driver_name(key, environ))


def _device(key: DeviceKey, device: EngineDevice) -> pb.Device:
    return pb.Device(
        id=pb.DeviceId(kind=key.kind, index=key.index),
        name=device.description,
        memory_total=device.total,
        memory_free=min(device.free, device.total),
    )
