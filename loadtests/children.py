"""Child processes of the benchmark. Each has its own session and log, and is always stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from loadtests.cache import ROOT

STOP_S = 10.0
"""From SIGTERM to SIGKILL."""
LOG_TAIL = 2000
"""Bytes of a failed child's log that are shown."""


class ChildError(Exception):
    """A child process ended or did not answer. The text contains the end of its log."""


@asynccontextmanager
async def child(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Runs a process with piped stdin and stdout, and its stderr in the file `log`. The end of the context stops it and
    its children."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for the benchmark, which stops its children in order
            limit=1 << 26,  # the longest line that a child may answer with
        )
    try:
        yield process
    finally:
        await asyncio.shield(stop(process))


@dataclass(frozen=True, slots=True)
class Program:
    """A running program of `loadtests.bare`, which answers each line of JSON with another."""

    process: asyncio.subprocess.Process
    log: Path

    async def ask(self, job: BaseModel) -> bytes:
        """Returns the answer to a job. Raises ChildError when the process fails."""
        self.tell(job)
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise failure(f"{self.log.stem}: the process ended", self.log)
        return line

    def tell(self, message: BaseModel) -> None:
        """Sends a line that has no answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(message.model_dump_json().encode() + b"\n")


@asynccontextmanager
async def program(
    module: str, setup: BaseModel, logs: Path, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[Program]:
    """Starts `python -m module` with its setup."""
    log = logs / f"{module}.log"
    async with child([sys.executable, "-m", module], log, environment) as process:
        started = Program(process, log)
        started.tell(setup)
        yield started


async def stop(process: asyncio.subprocess.Process) -> None:
    """Sends SIGTERM, then SIGKILL to the whole process group if the process takes too long."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def failure(what: str, log: Path) -> ChildError:
    """Makes an error with the end of the log."""
    tail = log.read_bytes()[-LOG_TAIL:].decode(errors="replace").strip() if log.exists() else ""
    return ChildError(f"{what}\n{tail}" if tail else what)
