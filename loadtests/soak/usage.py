"""Memory and descriptors of all processes of a server, by kind of process."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """Of the processes of one kind together."""

    processes: int = 0
    memory: int = 0
    """Bytes that are resident."""
    descriptors: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.processes + other.processes, self.memory + other.memory, self.descriptors + other.descriptors)

    def peak(self, other: "Usage") -> "Usage":
        return Usage(
            max(self.processes, other.processes),
            max(self.memory, other.memory),
            max(self.descriptors, other.descriptors),
        )


def usage_below(pid: int) -> dict[str, Usage]:
    """By title: all descendants of a process, and itself."""
    usages: dict[str, Usage] = {}
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error, IndexError):
            title = process.cmdline()[0] if process.pid != pid else "remuda serve"
            each = Usage(1, process.memory_info().rss, process.num_fds())
            usages[title] = usages.get(title, Usage()) + each
    return usages


def peaks(one: Mapping[str, Usage], other: Mapping[str, Usage]) -> dict[str, Usage]:
    """The higher of two usages, kind by kind."""
    return {title: one.get(title, Usage()).peak(other.get(title, Usage())) for title in {*one, *other}}
