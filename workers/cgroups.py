"""The control groups that bound this process: its own and all above it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kernel:
    """The folders in which Linux describes CPUs and control groups."""

    cpus: Path = Path("/sys/devices/system/cpu")
    cgroups: Path = Path("/sys/fs/cgroup")
    own_cgroup: Path = Path("/proc/self/cgroup")


def groups_with(controller: str, kernel: Kernel) -> Iterator[Path]:
    """The folders of this process's groups that `controller` may bound, of either version, innermost first."""
    for line in read(kernel.own_cgroup).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = kernel.cgroups / controllers  # version 2 has one hierarchy, which names no controllers
        own = top / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(top))


def read(path: Path) -> str:
    """The text of a kernel's file; "" where it is missing."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
