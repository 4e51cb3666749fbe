"""One run of a benchmark: starts the contenders once, and measures them in turn, round after round."""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadtests import contenders
from loadtests.children import Program, program
from loadtests.contenders import FLOOR, PEER, REMUDA, Floor, Server, one_gpu, worker_settings
from loadtests.models import SHAPES, model_file
from loadtests.options import CaseOptions
from loadtests.peer import llama_server, vocabularies
from loadtests.report import RoundFigures
from loadtests.setup import Setup
from remuda.settings import Settings
from workers.cores import usable_cores
from workers.host.devices.engine import Listing, engine_gpus
from workers.host.spawn import waiting_environment

CONTEXT_STEP = 256
"""llama.cpp rounds a sequence's context up to a multiple of this. Rounding first makes it equal for all contenders."""
EVERYBODY = frozenset({FLOOR, PEER, REMUDA})
LIST_SECONDS = 30
"""llama.cpp's time to list its devices."""
QUIET = 0.5
"""Load average above which a warning is printed."""


@dataclass(frozen=True, slots=True)
class Contest:
    """The contenders that take part. `floor` is None if it does not."""

    setup: Setup
    floor: Floor | None
    servers: list[Server]
    load_before: float
    """Load average of the minute before the start: how busy others kept the machine."""


@dataclass(frozen=True, slots=True)
class Alone:
    """One of the benchmark's own programs, which runs without contenders."""

    setup: Setup
    program: Program
    load_before: float


@asynccontextmanager
async def contest(
    options: CaseOptions, slots: int, context: int, *, with_floor: bool = False
) -> AsyncGenerator[Contest]:
    """Finds or makes the model and the peer, starts the contenders, and stops them at the end."""
    setup = setup_of(options, slots, context)
    async with AsyncExitStack() as stack:
        absent = frozenset[str]() if with_floor else frozenset({FLOOR})
        yield await enter(stack, setup, (options.only or EVERYBODY) - absent)


def setup_of(options: CaseOptions, slots: int, context: int) -> Setup:
    """Makes the Setup for so many slots and at least so many tokens of context. Makes the model if it is missing."""
    return Setup(
        model=str(model_file(SHAPES[options.model], vocabularies())),
        slots=slots,
        context=-(-context // CONTEXT_STEP) * CONTEXT_STEP,
        threads=options.threads or usable_cores(),
    )


@asynccontextmanager
async def alone(module: str, setup: Setup) -> AsyncGenerator[Alone]:
    """A program of `loadtests.bare` by itself, whose threads wait for each other as a worker's do."""
    load_before = warn_if_busy()
    with tempfile.TemporaryDirectory(prefix="remuda-bench-") as logs:
        environment = waiting_environment(Settings().spin_count) | one_gpu() | worker_settings(setup)
        async with program(module, setup, Path(logs), environment) as process:
            yield Alone(setup, process, load_before)


async def enter(stack: AsyncExitStack, setup: Setup, chosen: frozenset[str]) -> Contest:
    """Starts the contenders named in `chosen` for the life of `stack`."""
    load_before = warn_if_busy()
    logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="remuda-bench-")))
    floor = await stack.enter_async_context(contenders.floor(setup, logs)) if FLOOR in chosen else None
    servers: list[Server] = []
    if PEER in chosen:
        servers.append(await stack.enter_async_context(contenders.llama_server(setup, llama_server(), logs)))
    if REMUDA in chosen:
        servers.append(await stack.enter_async_context(contenders.remuda(setup, logs)))
    return Contest(setup, floor, servers, load_before)


@cache
def warn_if_busy() -> float:
    """Returns the rounded load average before the first case. Later cases would see the benchmark's own load."""
    load = round(os.getloadavg()[0], 2)
    if load > QUIET:
        print(f"This machine is busy (load average {load}): the figures will say little.", file=sys.stderr)
    return load


async def measure_rounds(
    field: Contest, options: CaseOptions, case: str, one_round: Callable[[Server, int], Awaitable[dict[str, float]]]
) -> list[RoundFigures]:
    """Measures every server in turn, round after round. Warm-up rounds (with a negative index) leave no sample."""
    samples: list[RoundFigures] = []
    for index in range(-options.warmup, options.rounds):
        for server in field.servers:
            values = await one_round(server, index)
            if index >= 0:
                samples.append(RoundFigures(case, server.name, index, values))
    return samples


def facts(options: CaseOptions, field: Contest | Alone) -> dict[str, Any]:
    """Returns the conditions of a run, for its report."""
    setup = field.setup
    return {
        "model": options.model,
        "rounds": options.rounds,
        "tokens": options.tokens,
        "prompt tokens": options.prompt_tokens,
        "slots": setup.slots,
        "context": setup.context,
        "threads": setup.threads,
        "batch": setup.batch,
        "KV": setup.kv_cache_type,
        "cores": os.cpu_count(),
        "machine": ", ".join([processor(), *gpus()]),
        "llama-cpp-python": version("llama-cpp-python"),
        "Python": platform.python_version(),
        "load average before": field.load_before,
    }


def processor() -> str:
    """Returns the processor's name from Linux, else the architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def gpus() -> list[str]:
    """Returns the name of the GPU that this build of llama.cpp computes on, if any."""
    command = [sys.executable, "-m", "workers.host.devices.engine_child", str(LIST_SECONDS)]
    listing = Listing.model_validate_json(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return [gpu.device.name for gpu in engine_gpus(listing, (), os.environ)][:1]
