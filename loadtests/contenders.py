"""The contenders: the floor, llama-server and Remuda. Each gets the same Setup, and starts once for all rounds."""

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import httpx

from loadtests.cache import cache_folder
from loadtests.children import Program, child, failure, program
from loadtests.client import STREAMS, Job, Stream
from loadtests.dialects import MODEL, Ask
from loadtests.floor import FloorJob, FloorResult
from loadtests.measurement import NS, Measurement
from loadtests.ollama_folder import install
from loadtests.setup import Setup

FLOOR, PEER, REMUDA = "floor", "llama-server", "remuda"
START_S = 180.0
"""The longest wait for a server's first answer. The peer loads its model before that."""
ASK_AGAIN_S = 0.1
ALL_LAYERS = 999
OK = 200


@dataclass(frozen=True, slots=True)
class Server:
    """A running server on this machine. `name` is that of its dialect, too."""

    name: str
    port: int
    process: asyncio.subprocess.Process
    log: Path

    async def run(self, asks: list[Ask]) -> list[Stream]:
        """Runs the streams at once, in a new client process. Raises ChildError when the process or a stream fails."""
        job = Job(port=self.port, dialect=self.name, asks=asks)
        log = self.log.with_name(f"{self.name}-client.log")
        async with child([sys.executable, "-m", "loadtests.client"], log) as client:
            answer, _ = await client.communicate(job.model_dump_json().encode())
        if client.returncode:
            raise failure(f"the client of {self.name} failed", log)
        streams = STREAMS.validate_json(answer)
        if errors := [stream.error for stream in streams if stream.error]:
            raise failure(f"{self.name}, {len(errors)} of {len(streams)} streams failed: {errors[0]}", self.log)
        return streams


@dataclass(frozen=True, slots=True)
class Floor:
    """The process that runs bare `llama_decode`."""

    process: Program

    async def measure(self, job: FloorJob) -> Measurement:
        """Raises ChildError when the process fails."""
        return floor_measurement(job, FloorResult.model_validate_json(await self.process.ask(job)))


def floor_measurement(job: FloorJob, result: FloorResult) -> Measurement:
    """Converts the floor's times to a server's: all streams get their first token at the end of the prefill."""
    streams = len(job.prompts)
    seconds = (result.prefill_ns + sum(result.step_ns)) / NS
    prefill_ms = result.prefill_ns / 1e6
    return Measurement(
        tokens=streams * job.tokens,
        prompt_tokens=result.prompt_tokens,
        rate=streams * job.tokens / seconds,
        decode_rate=streams / (mean(result.step_ns) / NS) if result.step_ns else 0.0,
        ttft=prefill_ms,
        ttft_max=prefill_ms,
        gap_max=max(result.step_ns, default=0) / 1e6,
    )


@asynccontextmanager
async def floor(setup: Setup, logs: Path) -> AsyncGenerator[Floor]:
    async with program("loadtests.floor", setup, logs, one_gpu()) as process:
        yield Floor(process)


def one_gpu() -> dict[str, str]:
    """Variables that show all contenders one GPU, as Remuda's worker sees one. They do nothing without a GPU."""
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0")}


@asynccontextmanager
async def llama_server(setup: Setup, program: Path, logs: Path) -> AsyncGenerator[Server]:
    """Starts the peer without its cache of old prompts in RAM: that takes time, and cannot help fresh prompts."""
    port, log = free_port(), logs / "llama-server.log"
    flash = {None: "auto", True: "on", False: "off"}[setup.flash_attention]
    options = {
        "--model": setup.model,
        "--port": port,
        "--parallel": setup.slots,
        "--ctx-size": setup.slots * setup.context,
        "--threads": setup.threads,
        "--threads-batch": setup.threads,
        "--batch-size": setup.batch,
        "--ubatch-size": setup.batch,
        "--flash-attn": flash,
        "--cache-type-k": setup.kv_cache_type,
        "--cache-type-v": setup.kv_cache_type,
        "--cache-ram": 0,
        "--n-gpu-layers": ALL_LAYERS,
        "--fit": "off",  # every size is given, so it must not guess from the free memory
        "--log-verbosity": 1,
    }
    arguments = [str(part) for option in options.items() for part in option]
    async with child([str(program), *arguments, "--no-kv-unified", "--no-webui"], log, one_gpu()) as process:
        server = Server(PEER, port, process, log)
        await until_answering(server, "/health")
        yield server


@asynccontextmanager
async def remuda(setup: Setup, logs: Path) -> AsyncGenerator[Server]:
    """Starts all of Remuda by its own command. The first request loads the model."""
    port, log = free_port(), logs / "remuda.log"
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="models-") as models:
        install(Path(models), MODEL, Path(setup.model))
        environment = remuda_environment(setup, models, port)
        async with child([str(Path(sys.executable).with_name("remuda")), "serve"], log, environment) as process:
            server = Server(REMUDA, port, process, log)
            await until_answering(server, "/")
            yield server


def remuda_environment(setup: Setup, models: str, port: int) -> dict[str, str]:
    """Remuda's variables. Any other keeps its value, so that other settings can be tried."""
    return worker_settings(setup) | {
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": models,
        "OLLAMA_NUM_PARALLEL": str(setup.slots),
        "OLLAMA_CONTEXT_LENGTH": str(setup.context),
        "OLLAMA_KEEP_ALIVE": "-1",
        "REMUDA_EMBEDDED_MODEL": "none",
    }


def worker_settings(setup: Setup) -> dict[str, str]:
    """The variables that a worker reads."""
    return {
        "OLLAMA_FLASH_ATTENTION": "" if setup.flash_attention is None else str(int(setup.flash_attention)),
        "OLLAMA_KV_CACHE_TYPE": setup.kv_cache_type,
        "REMUDA_THREADS": str(setup.threads),
        "REMUDA_BATCH_SIZE": str(setup.batch),
    }


async def until_answering(server: Server, path: str) -> None:
    """Waits until the server answers 200. Raises ChildError when it ends or takes too long."""
    deadline = time.monotonic() + START_S
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        while not await _answers(client, path):
            if server.process.returncode is not None or time.monotonic() > deadline:
                raise failure(f"{server.name} did not start", server.log)
            await asyncio.sleep(ASK_AGAIN_S)


async def _answers(client: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await client.get(path)).status_code == OK
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
