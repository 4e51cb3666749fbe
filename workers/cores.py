"""How many cores this process can keep busy."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from workers.cgroups import Kernel, groups_with, read


def usable_cores(kernel: Kernel | None = None) -> int:
    """Counts the physical cores that this process may run on, one at least.

    A smaller CPU quota of its container counts instead, rounded down. Threads that wait for each other all wait for the
    one that the quota holds back.
    """
    if sys.platform != "linux":
        return psutil.cpu_count(logical=False) or 1
    kernel = kernel or Kernel()
    cores = {_core_of(cpu, kernel) for cpu in os.sched_getaffinity(0)}
    return max(int(min([len(cores), *_quotas(kernel)])), 1)


def _core_of(cpu: int, kernel: Kernel) -> str:
    """Names a CPU's core by the list of its hardware threads."""
    return read(kernel.cpus / f"cpu{cpu}/topology/thread_siblings_list") or str(cpu)


def _quotas(kernel: Kernel) -> Iterator[float]:
    """The CPU quotas of this process's control group and of all groups above it, in CPUs."""
    return (quota for folder in groups_with("cpu", kernel) if (quota := _quota(folder)))


def _quota(folder: Path) -> float | None:
    """A control group's quota in CPUs; None = no limit."""
    version_1 = f"{read(folder / 'cpu.cfs_quota_us')} {read(folder / 'cpu.cfs_period_us')}"
    quota, _, period = (read(folder / "cpu.max") or version_1).partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None
