"""One worker process from the host's side: its start, its pinning to a device, its end."""

import asyncio
import os
import sys
from collections.abc import Mapping

from remuda.cpu_lists import write_cpu_set
from remuda.process import PARENT_VARIABLE
from remuda.v1 import wire_pb2 as wire

STOP_GRACE_S = 2.0
"""From SIGTERM to SIGKILL. A worker has nothing to save; only the driver may need a moment."""


async def spawn_worker(
    start: wire.StartWorker, spin_count: int, cpus: frozenset[int], pinning: Mapping[str, str]
) -> asyncio.subprocess.Process:
    """Starts a worker, pinned to its devices by the variables of `pinning`, and to `cpus` (empty = all).

    The worker reads its StartWorker from standard input.
    """
    environment = {PARENT_VARIABLE: str(os.getpid())}
    environment |= dict(pinning) | cpu_environment(cpus)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers.worker",
        stdin=asyncio.subprocess.PIPE,
        env=waiting_environment(spin_count) | os.environ | environment,
        start_new_session=True,  # a terminal's Ctrl-C is for the supervisor alone
    )
    assert process.stdin is not None
    process.stdin.write(start.SerializeToString())
    process.stdin.close()
    return process


async def stop_worker(process: asyncio.subprocess.Process) -> None:
    """Ends a worker and waits for its end."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def cpu_environment(cpus: frozenset[int]) -> dict[str, str]:
    """Tells the worker which CPUs are its own, where the host has several sets of them."""
    return {"REMUDA_CPU_AFFINITY": write_cpu_set(cpus)} if cpus else {}


def waiting_environment(spin_count: int) -> dict[str, str]:
    """How llama.cpp's OpenMP threads wait for each other, unless the operator's environment says it.

    libgomp reads it when it is loaded, so it has to be in the environment.
    """
    return {} if "OMP_WAIT_POLICY" in os.environ else {"GOMP_SPINCOUNT": str(spin_count)}
