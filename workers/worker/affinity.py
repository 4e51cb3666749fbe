"""Keeps a worker on its CPUs."""

import os

import psutil

from remuda.logs import get_logger

log = get_logger()


def confine(cpus: frozenset[int]) -> None:
    """Moves this process to `cpus`: the threads that it has, and with them those that they will start. CPUs that are
    not there are left out; without any the process stays where it is, with a warning."""
    try:
        for thread in psutil.Process().threads():
            os.sched_setaffinity(thread.id, cpus)
    except OSError as error:
        log.warning("CPU affinity not set", cpus=sorted(cpus), reason=error.strerror)
