"""A worker host as a process, asked over ZeroMQ what models would take."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import psutil
import pytest_asyncio
import zmq
import zmq.asyncio
from support.memory_models import write_plain
from support.serving import until
from support.vocabularies import SENTENCEPIECE, write_vocabulary

from remuda.endpoints import Endpoints
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire

TIMEOUT_S = 30


class Host:
    """A running host, and the scheduler that it knows, which is a plain socket."""

    def __init__(self, folder: Path) -> None:
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.bind(Endpoints(folder).uplink)
        environment = {
            "REMUDA_INSTANCE_DIR": str(folder),
            "REMUDA_PARENT_PID": str(os.getpid()),
            "REMUDA_STATS_INTERVAL": "50ms",
            "REMUDA_MEASURE_PROCESSES": "1",
        }
        self.process = subprocess.Popen([sys.executable, "-m", "workers.host"], env=os.environ | environment)
        self.identity = b""

    async def hear(self, kind: str) -> wire.Uplink:
        """The next message of that kind."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                self.identity, frame = await self._socket.recv_multipart()
                message = wire.Uplink.FromString(frame)
                if message.WhichOneof("message") == kind:
                    return message

    async def ask(self, number: int, model: Path, *slots: int) -> None:
        options = pb.LoadOptions(num_ctx=100, num_gpu=-1)
        spec = pb.ModelSpec(name="m", model_path=str(model), options=options)
        measure = wire.Measure(id=number, model=spec, slots=slots)
        await self._socket.send_multipart([self.identity, wire.Downlink(measure=measure).SerializeToString()])

    async def answer(self) -> wire.Measured:
        return (await self.hear("measured")).measured

    def dry_run(self) -> psutil.Process:
        """A process for dry runs that is ready: it has a title."""

        def ready() -> list[psutil.Process]:
            children = psutil.Process(self.process.pid).children()
            return [child for child in children if child.cmdline()[:1] == ["remuda dry run"]]

        return until(ready)[0]

    async def close(self) -> None:
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, TIMEOUT_S)
        self._context.destroy(linger=0)


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncGenerator[Host]:
    host = Host(tmp_path)
    await host.hear("host_hello")
    yield host
    await host.close()


async def test_a_host_answers_for_each_number_of_slots(host: Host, tmp_path: Path) -> None:
    await host.ask(5, write_plain(tmp_path / "model.gguf"), 1, 4)
    measured = await host.answer()
    assert (measured.id, measured.error) == (5, "")
    one, four = measured.footprints
    assert (one.slots, four.slots) == (1, 4)
    assert list(four.cache) == [4 * each for each in one.cache]
    assert list(four.weights) == list(one.weights)


async def test_a_broken_file_is_refused_with_llama_cpps_reason(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF but no more")
    await host.ask(1, path, 1)
    measured = await host.answer()
    assert measured.error.startswith("llama.cpp could not load the model: ")
    assert str(tmp_path) not in measured.error
    assert not measured.footprints


async def test_a_model_that_aborts_llama_cpp_ends_no_host(host: Host, tmp_path: Path) -> None:
    await host.ask(1, write_vocabulary(tmp_path / "vocabulary.gguf", "llama", [*SENTENCEPIECE, b"a", b"a"]), 1)
    assert (await host.answer()).error.startswith("llama.cpp aborts: llama-vocab.cpp:")
    await host.ask(2, write_plain(tmp_path / "model.gguf"), 1)
    assert not (await host.answer()).error


async def test_a_dry_run_that_is_killed_is_made_again(host: Host, tmp_path: Path) -> None:
    process = await asyncio.to_thread(host.dry_run)
    process.suspend()
    await host.ask(1, write_plain(tmp_path / "model.gguf"), 1)
    process.kill()
    assert (await host.answer()).footprints


async def test_a_host_reports_on_while_a_dry_run_stands_still(host: Host, tmp_path: Path) -> None:
    process = await asyncio.to_thread(host.dry_run)
    process.suspend()
    for number in (1, 2):
        await host.ask(number, write_plain(tmp_path / "model.gguf"), 1)
    for _ in range(3):
        await host.hear("host_status")
    process.resume()
    assert {(await host.answer()).id for _ in range(2)} == {1, 2}


async def test_a_host_that_stops_leaves_no_dry_run_behind(host: Host) -> None:
    process = await asyncio.to_thread(host.dry_run)
    await host.close()
    assert not process.is_running()
