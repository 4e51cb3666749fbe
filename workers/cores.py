"""How many cores this process can keep busy."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Kernel:
    """Where Linux tells about CPUs and quotas."""

    cpus: Path = Path("/sys/devices/system/cpu")
    cgroups: Path = Path("/sys/fs/cgroup")
    own_cgroup: Path = Path("/proc/self/cgroup")


def usable_cores(kernel: Kernel | None = None) -> int:
    """The physical cores that this process may run on, or those that its container's CPU quota pays for where these
    are fewer, rounded down: threads that wait for each other all wait for one that is held back. At least one."""
    if sys.platform != "linux":
        return psutil.cpu_count(logical=False) or 1
    kernel = kernel or Kernel()
    cores = {_core_of(cpu, kernel) for cpu in os.sched_getaffinity(0)}
    return max(int(min([len(cores), *_quotas(kernel)])), 1)


def _core_of(cpu: int, kernel: Kernel) -> str:
    """What is the same for all CPUs (hardware threads) of one core: the list of them."""
    return _read(kernel.cpus / f"cpu{cpu}/topology/thread_siblings_list") or str(cpu)


def _quotas(kernel: Kernel) -> Iterator[float]:
    """The CPU quotas that hold for this process, in CPUs: of its control group and of all that are above it."""
    for line in _read(kernel.own_cgroup).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = kernel.cgroups / controllers  # version 2 has one hierarchy, which names no controllers
        own = top / path.lstrip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(top) and (quota := _quota(folder)):
                yield quota


def _quota(folder: Path) -> float | None:
    """What a control group may use; None = no limit."""
    version_1 = f"{_read(folder / 'cpu.cfs_quota_us')} {_read(folder / 'cpu.cfs_period_us')}"
    quota, _, period = (_read(folder / "cpu.max") or version_1).partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
