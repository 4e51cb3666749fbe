"""The CPU as a device: the host's memory, within the limits of this process's control groups."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from remuda.v1 import serving_pb2 as pb
from workers.cgroups import Kernel, groups_with, read
from workers.cores import usable_cores


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    total: int
    free: int


class HostMemory:
    """The memory that this process and its workers may use."""

    def __init__(self, kernel: Kernel | None = None) -> None:
        self._kernel = kernel or Kernel()
        self._name = f"CPU, {usable_cores()} cores"

    def device(self, pids: Iterable[int]) -> pb.Device:
        """The memory as of now. `pids` are this host's workers."""
        memory = available_memory(self._kernel)
        return pb.Device(
            id=pb.DeviceId(kind=pb.DEVICE_KIND_CPU),
            name=self._name,
            memory_total=memory.total,
            memory_free=memory.free,
            memory_others=max(memory.total - memory.free - sum(map(_held, pids)), 0),
        )


def available_memory(kernel: Kernel) -> Memory:
    """The machine's memory, or what the tightest control group leaves of it."""
    machine = psutil.virtual_memory()
    bounds = [Memory(machine.total, machine.available), *_limits(kernel)]
    return Memory(min(bound.total for bound in bounds), min(bound.free for bound in bounds))


def _limits(kernel: Kernel) -> Iterator[Memory]:
    return (limit for folder in groups_with("memory", kernel) if (limit := _limit(folder)))


def _limit(folder: Path) -> Memory | None:
    """A control group's limit and what is left of it; None = no limit. What version 1 calls no limit is a huge one."""
    total = read(folder / "memory.max") or read(folder / "memory.limit_in_bytes")
    used = read(folder / "memory.current") or read(folder / "memory.usage_in_bytes")
    if not (total.isdigit() and used.isdigit()):
        return None
    return Memory(int(total), max(int(total) - max(int(used) - _reclaimable(folder), 0), 0))


def _reclaimable(folder: Path) -> int:
    """Bytes of cached files that nobody used of late. The kernel drops them for whoever needs memory."""
    lines = (line.split() for line in read(folder / "memory.stat").splitlines())
    counts = {line[0]: int(line[1]) for line in lines if len(line) == 2}
    return counts.get("total_inactive_file", counts.get("inactive_file", 0))


def _held(pid: int) -> int:
    """Bytes that only this process's end gives back. Mapped files, such as weights, are cache and count as free."""
    with suppress(psutil.Error):
        memory = psutil.Process(pid).memory_info()
        return memory.rss - getattr(memory, "shared", 0)
    return 0
