"""How many threads a worker starts by itself: what its CPUs and its container's quota allow."""

import os
from pathlib import Path

import pytest

from workers.cgroups import Kernel
from workers.cores import usable_cores

FOUR_CORES = {0: "0,4", 1: "1,5", 2: "2,6", 3: "3,7", 4: "0,4", 5: "1,5", 6: "2,6", 7: "3,7"}
"""Eight CPUs, two hardware threads on each core."""


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """Eight CPUs of four cores, control groups of version 2, no limits."""
    kernel = Kernel(cpus=tmp_path / "cpu", cgroups=tmp_path / "cgroup", own_cgroup=tmp_path / "own")
    for cpu, siblings in FOUR_CORES.items():
        write(kernel.cpus / f"cpu{cpu}/topology/thread_siblings_list", siblings)
    write(kernel.own_cgroup, "0::/box/worker")
    return kernel


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def allow(monkeypatch: pytest.MonkeyPatch, *cpus: int) -> None:
    def affinity(_: int) -> set[int]:
        return set(cpus)

    monkeypatch.setattr(os, "sched_getaffinity", affinity)


@pytest.mark.parametrize(("cpus", "cores"), [(range(8), 4), ((0, 4), 1), ((0, 1, 4), 2), ((6,), 1), ((90, 91), 2)])
def test_hardware_threads_of_one_core_count_once(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, cpus: range | tuple[int, ...], cores: int
) -> None:
    allow(monkeypatch, *cpus)
    assert usable_cores(kernel) == cores


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 4),
        ("200000 100000", 2),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("900000 100000", 4),
        ("?", 4),
    ],
)
def test_a_quota_counts_in_whole_cpus(kernel: Kernel, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int) -> None:
    allow(monkeypatch, *range(8))
    write(kernel.cgroups / "box/worker/cpu.max", quota)
    assert usable_cores(kernel) == cores


def test_the_tightest_quota_of_all_groups_above_holds(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, *range(8))
    write(kernel.cgroups / "box/worker/cpu.max", "300000 100000")
    write(kernel.cgroups / "box/cpu.max", "200000 100000")
    assert usable_cores(kernel) == 2


def test_inside_a_container_the_quota_lies_at_the_top(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, *range(8))
    write(kernel.own_cgroup, "0::/")
    write(kernel.cgroups / "cpu.max", "300000 100000")
    assert usable_cores(kernel) == 3


def test_quotas_of_version_1_hold_too(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, *range(8))
    write(kernel.own_cgroup, "5:memory:/box\n4:cpu,cpuacct:/docker/0123\n0::/")
    write(kernel.cgroups / "cpu,cpuacct/cpu.cfs_quota_us", "150000")
    write(kernel.cgroups / "cpu,cpuacct/cpu.cfs_period_us", "50000")
    write(kernel.cgroups / "memory/cpu.max", "100000 100000")
    assert usable_cores(kernel) == 3

    write(kernel.cgroups / "cpu,cpuacct/cpu.cfs_quota_us", "-1")
    assert usable_cores(kernel) == 4
