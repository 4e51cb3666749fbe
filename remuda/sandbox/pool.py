"""Asks child processes, where what strangers wrote can neither stop this process's streams nor fill its memory."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from remuda.durations import seconds
from remuda.logs import get_logger
from remuda.sandbox.child import HEADER

log = get_logger()

FAILURES = (asyncio.IncompleteReadError, OSError, RuntimeError)
"""What is raised where a process dies or does not start in time. RuntimeError comes from uvloop."""

INHERITED = (
    *("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_TIME", "TZ"),
    *("PYTHONPATH", "PYTHONSAFEPATH", "LD_LIBRARY_PATH", "LLAMA_CPP_LIB_PATH"),
)
"""All that a process gets of this one's environment: anybody may have written what it runs."""

NICE = 5
"""The niceness of what may be a stranger's work: beside it the engine and the gateways get three times the CPU."""

GIVEN = {"GGML_NO_BACKTRACE": "1", "CUDA_VISIBLE_DEVICES": "-1", "HIP_VISIBLE_DEVICES": "-1"}
"""Where llama.cpp aborts, it would start a debugger for a backtrace, which takes seconds. On a GPU a process would take
memory that the scheduler does not know of."""

LAST_MOMENT_S = 0.25
"""How long an answer is still read after its time is up or its reader has left. A crowd may have held up this process,
and most answers come sooner than another process would start."""


class SandboxError(Exception):
    """A question without an answer."""


class ProcessDiedError(SandboxError):
    """The question killed its process, and a second one."""


class DidNotStartError(SandboxError):
    """No process could be started. The question is not at fault."""


class TookTooLongError(SandboxError):
    """The process was killed because its time was up."""


class OverloadedError(SandboxError):
    """Too many questions are waiting."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A kind of process and its bounds."""

    module: str
    """What a process runs. It calls `remuda.sandbox.child.serve` with its arguments, which begin with its bounds."""
    memory: int
    """Bytes of address space of a process; 0 = no limit."""
    arguments: tuple[int, ...]
    niceness: int
    """How far its processes stand back for others, as in nice(2)."""
    processes: int
    waiting: int
    """Questions that wait for a process at most."""
    timeout_ns: int
    start_timeout_ns: int
    environment: Mapping[str, str] | None = None
    """The environment of a process; None = the little that `sandbox_environment` gives to all."""
    single_use: bool = False
    """Whether a process ends after one answer. Then the next one is started ahead of its question."""


class SandboxPool:
    """A few processes of one kind, started when they are first needed, each answering one question at a time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._idle: list[Process] = []
        self._turns = asyncio.Semaphore(sandbox.processes)
        self._open = 0  # questions, those that wait included
        self._tasks: set[asyncio.Task[bytes | None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self) -> None:
        """Starts the first process in the background, ahead of the first question."""
        self._keep(asyncio.create_task(self._start_first()))

    async def close(self) -> None:
        """Ends all processes."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        while self._idle:
            await _end(self._idle.pop())
        await asyncio.gather(*self._endings)

    async def ask(self, question: bytes) -> bytes:
        """The answer. Raises SandboxError.

        A process may have died earlier, so a question is asked twice where no answer came.
        """
        if self._open >= self._sandbox.processes + self._sandbox.waiting:
            raise OverloadedError
        self._open += 1
        try:
            answer = await self._ask(question)
            if answer is None:
                answer = await self._ask(question)
        finally:
            self._open -= 1
        if answer is None:
            raise ProcessDiedError
        return answer

    async def _ask(self, question: bytes) -> bytes | None:
        """The answer; None where the process died. A reader that leaves does not kill a process that is nearly done."""
        await self._turns.acquire()
        turn = self._keep(asyncio.create_task(self._turn(question)))
        try:
            return await asyncio.shield(turn)
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_later(LAST_MOMENT_S, turn.cancel)
            raise

    def _keep(self, task: "asyncio.Task[bytes | None]") -> "asyncio.Task[bytes | None]":
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[bytes | None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, also where the reader has left

    async def _start_first(self) -> None:
        async with self._turns:
            if not self._idle and (process := await self._take()) is not None:
                self._idle.append(process)

    async def _turn(self, question: bytes) -> bytes | None:
        try:
            process = await self._take()
            if process is None:
                raise DidNotStartError
            return await self._exchange(process, question)
        finally:
            self._turns.release()

    async def _exchange(self, process: Process, question: bytes) -> bytes | None:
        answer = None
        exchange = asyncio.create_task(_exchange(process, question))
        try:
            for patience_s in (seconds(self._sandbox.timeout_ns), LAST_MOMENT_S):
                await asyncio.wait((exchange,), timeout=patience_s)
            if not exchange.done():
                raise TookTooLongError
            answer = exchange.result()
            return answer
        except FAILURES as error:
            log.warning("a sandbox's process died", module=self._sandbox.module, error=repr(error))
            return None
        finally:
            exchange.cancel()
            if answer is not None and not self._closed and not self._sandbox.single_use:
                self._idle.append(process)
            elif answer is not None:
                self._end_beside(process)
            else:  # it may still be busy with the question
                await asyncio.shield(_end(process))
            if self._sandbox.single_use and not self._closed:
                self.start()

    def _end_beside(self, process: Process) -> None:
        """Ends a process while its answer is read: that takes ten milliseconds."""
        ending = asyncio.create_task(_end(process))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _take(self) -> Process | None:
        """A process that is alive; None where none could be started."""
        try:
            return await self._idle_or_new()
        except FAILURES as error:
            log.warning("a sandbox's process did not start", module=self._sandbox.module, error=repr(error))
            return None

    async def _idle_or_new(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None and process.stdin is not None and not process.stdin.is_closing():
                return process
            await _end(process)
            log.warning("a sandbox's process died", module=self._sandbox.module, status=process.returncode)
        return await self._spawn()

    async def _spawn(self) -> Process:
        """A process that is ready, so that its start takes nothing of the question's time."""
        sandbox = self._sandbox
        environment = sandbox_environment() if sandbox.environment is None else sandbox.environment
        arguments = os.getpid(), sandbox.niceness, sandbox.memory, *sandbox.arguments
        command = sys.executable, "-m", sandbox.module, *map(str, arguments)
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=environment)
        try:
            async with asyncio.timeout(seconds(sandbox.start_timeout_ns)):
                await _receive(process)
        except BaseException:
            await asyncio.shield(_end(process))
            raise
        return process


def sandbox_environment() -> dict[str, str]:
    """The environment of a sandbox's process."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | GIVEN


async def _exchange(process: Process, question: bytes) -> bytes:
    assert process.stdin is not None
    process.stdin.write(HEADER.pack(len(question)) + question)
    await process.stdin.drain()
    return await _receive(process)


async def _receive(process: Process) -> bytes:
    assert process.stdout is not None
    (length,) = HEADER.unpack(await process.stdout.readexactly(HEADER.size))
    return await process.stdout.readexactly(length)


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()
    cast(Any, process)._transport.close()  # else what is left of an answer keeps its pipe open
