"""Keeps a worker on its CPUs."""

import os

import psutil

from remuda.logs import get_logger

log = get_logger()


def confine(cpus: frozenset[int]) -> None:
    """Moves this process's threads to `cpus`; threads that they start inherit that.

    Linux ignores CPUs that do not exist. If none exists, the process stays where it is, with a warning.
    """
    try:
        for thread in psutil.Process().threads():
            os.sched_setaffinity(thread.id, cpus)
    except OSError as error:
        log.warning("CPU affinity not set", cpus=sorted(cpus), reason=error.strerror)
