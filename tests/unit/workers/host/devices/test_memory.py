"""How much host memory this machine has for models."""

from pathlib import Path

import psutil
import pytest

from remuda.v1 import serving_pb2 as pb
from workers.cgroups import Kernel
from workers.host.devices.memory import HostMemory, Memory, available_memory

LIMIT, USED = 1 << 20, 1 << 18
"""Far below what any machine has that runs these tests."""


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """Control groups of version 2, no limits."""
    kernel = Kernel(cgroups=tmp_path / "cgroup", own_cgroup=tmp_path / "own")
    write(kernel.own_cgroup, "0::/box/worker")
    write(kernel.cgroups / "box/worker/memory.max", "max")
    return kernel


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def limit(folder: Path, total: int, used: int, inactive_file: int = 0) -> None:
    write(folder / "memory.max", total)
    write(folder / "memory.current", used)
    write(folder / "memory.stat", f"anon 5\ninactive_file {inactive_file}\nactive_file 7")


def test_without_limits_the_machines_memory_counts(kernel: Kernel) -> None:
    memory = available_memory(kernel)
    assert memory.total == psutil.virtual_memory().total
    assert 0 < memory.free <= memory.total


def test_a_groups_limit_counts_and_its_file_cache_is_free(kernel: Kernel) -> None:
    limit(kernel.cgroups / "box/worker", LIMIT, USED, inactive_file=USED // 2)
    assert available_memory(kernel) == Memory(LIMIT, LIMIT - USED // 2)


def test_more_used_than_allowed_leaves_nothing(kernel: Kernel) -> None:
    limit(kernel.cgroups / "box/worker", LIMIT, 2 * LIMIT)
    assert available_memory(kernel) == Memory(LIMIT, 0)


def test_the_tightest_limit_of_all_groups_above_holds(kernel: Kernel) -> None:
    limit(kernel.cgroups / "box/worker", 4 * LIMIT, USED)
    limit(kernel.cgroups / "box", LIMIT, USED)
    limit(kernel.cgroups, 2 * LIMIT, 2 * LIMIT - 3)
    assert available_memory(kernel) == Memory(LIMIT, 3)


def test_inside_a_container_the_limit_lies_at_the_top(kernel: Kernel) -> None:
    write(kernel.own_cgroup, "0::/")
    limit(kernel.cgroups, LIMIT, USED)
    assert available_memory(kernel) == Memory(LIMIT, LIMIT - USED)


def test_limits_of_version_1_hold_too(kernel: Kernel) -> None:
    write(kernel.own_cgroup, "5:cpu:/box\n4:memory:/docker/0123\n0::/")
    top = kernel.cgroups / "memory"
    write(top / "memory.limit_in_bytes", LIMIT)
    write(top / "memory.usage_in_bytes", USED)
    write(top / "memory.stat", f"inactive_file 1\ntotal_inactive_file {USED // 2}")
    assert available_memory(kernel) == Memory(LIMIT, LIMIT - USED // 2)

    write(top / "memory.limit_in_bytes", 9223372036854771712)
    assert available_memory(kernel).total == psutil.virtual_memory().total


def test_the_cpu_reports_what_processes_beside_its_workers_hold(kernel: Kernel) -> None:
    me = psutil.Process()
    limit(kernel.cgroups, 1 << 40, 0)
    alone, with_me = HostMemory(kernel).device([]), HostMemory(kernel).device([me.pid])
    assert alone.id == pb.DeviceId(kind=pb.DEVICE_KIND_CPU)
    assert alone.name.startswith("CPU, ")
    assert alone.memory_others == alone.memory_total - alone.memory_free
    own = with_me.memory_total - with_me.memory_free - with_me.memory_others
    assert 0 < own <= me.memory_info().rss


def test_a_worker_that_has_ended_holds_nothing(kernel: Kernel) -> None:
    device = HostMemory(kernel).device([2**22 + 1])
    assert device.memory_others == device.memory_total - device.memory_free
