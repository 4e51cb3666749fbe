"""`python -m loadtests.soak`: honest clients beside hostile ones. `docs/reliability.md` has its figures."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import orjson
import typer

from loadtests.cache import ROOT
from loadtests.children import child
from loadtests.contenders import REMUDA, Server, free_port, until_answering
from loadtests.running import CaseError, StoppedError, finish
from loadtests.soak.honest import Latencies, chats
from loadtests.soak.report import Phase, Soak, markdown
from loadtests.soak.usage import Usage, peaks, usage_below

WARM_S, SETTLE_S, LOOK_S = 60.0, 60.0, 1.0
"""The first attacks start what is started when it is first needed; then the base line is taken. After the attacks the
server has the same time to come to rest."""
SHARES = {"alone": 0.2, "beside hostile clients": 0.6, "alone again": 0.2}


@asynccontextmanager
async def served(folder: Path, slots: int) -> AsyncGenerator[Server]:
    """A server with the embedded model, as an operator starts it."""
    port, log = free_port(), folder / "remuda.log"
    environment = {
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(folder / "models"),
        "REMUDA_RUN_DIR": str(folder / "run"),
        "OLLAMA_NUM_PARALLEL": str(slots),
        "OLLAMA_KEEP_ALIVE": "-1",
    }
    async with child([str(Path(sys.executable).with_name("remuda")), "serve"], log, environment) as process:
        server = Server(REMUDA, port, process, log)
        await until_answering(server, "/")
        yield server


@asynccontextmanager
async def attacked(server: Server, clients: int, pause_s: float, counts: dict[str, int]) -> AsyncGenerator[None]:
    """Hostile clients for as long as the context is open. Their numbers are added to `counts`."""
    arguments = [str(value) for value in (server.port, clients, pause_s, 1)]
    command = [sys.executable, "-m", "loadtests.soak.hostile", *arguments]
    async with child(command, server.log.with_name("hostile.log"), {"PYTHONPATH": str(ROOT)}) as process:
        yield
        answer, _ = await process.communicate(b"")  # closes stdin, too
    for name, count in orjson.loads(answer).items():
        counts[name] = counts.get(name, 0) + count


async def watched(server: Server, seen: dict[str, Usage]) -> None:
    """Notes the highest usage until it is cancelled."""
    while True:
        seen.update(peaks(seen, await asyncio.to_thread(usage_below, server.process.pid)))
        await asyncio.sleep(LOOK_S)


async def soak(minutes: float, honest: int, hostile: int, pause_s: float) -> Soak:
    """Runs all phases."""
    counts: dict[str, int] = {}
    peak: dict[str, Usage] = {}
    with TemporaryDirectory(prefix="remuda-soak-") as folder:
        async with served(Path(folder), slots=2 * honest) as server:
            url = f"http://127.0.0.1:{server.port}"
            async with attacked(server, hostile, pause_s, {}):
                await chats(url, honest, WARM_S)
            await asyncio.sleep(SETTLE_S)
            base = usage_below(server.process.pid)
            alone = await chats(url, honest, 60 * minutes * SHARES["alone"])
            watcher = asyncio.create_task(watched(server, peak))
            async with attacked(server, hostile, pause_s, counts):
                beside = await chats(url, honest, 60 * minutes * SHARES["beside hostile clients"])
            watcher.cancel()
            await asyncio.sleep(SETTLE_S)
            again = await chats(url, honest, 60 * minutes * SHARES["alone again"])
            end = usage_below(server.process.pid)
    return Soak(_phases(alone, beside, again), base, peak, end, counts)


def _phases(*latencies: Latencies) -> list[Phase]:
    return [Phase(name, each) for name, each in zip(SHARES, latencies, strict=True)]


def main(
    minutes: Annotated[float, typer.Option(help="Of measuring; two more for warming up and settling.")] = 20.0,
    honest: Annotated[int, typer.Option(help="Honest clients.")] = 8,
    hostile: Annotated[int, typer.Option(help="Hostile clients at once.")] = 4,
    pause: Annotated[float, typer.Option(help="Seconds between two attacks of a hostile client.")] = 0.5,
) -> None:
    """Honest clients alone, beside hostile ones, and alone again."""
    os.chdir(ROOT)
    try:
        print(markdown(finish(soak(minutes, honest, hostile, pause))))
    except (CaseError, StoppedError) as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    typer.run(main)
