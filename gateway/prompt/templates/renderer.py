"""Renders templates in child processes, where they cannot stop the gateway's streams or fill its memory."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.errors import internal, invalid
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.sandbox import HEADER
from remuda.durations import seconds
from remuda.logs import get_logger
from remuda.settings import Settings

log = get_logger()

PROCESS_DIED = b'{"error":"the process that rendered it died"}'
FAILURES = (asyncio.IncompleteReadError, OSError, RuntimeError)
"""What is raised where a process dies or does not start in time. RuntimeError comes from uvloop."""

INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_TIME", "TZ", "PYTHONPATH", "PYTHONSAFEPATH")
"""All that a template process gets of the gateway's environment: anybody may have written a template."""

HELD_UP_S = 0.25
"""How long an answer is still read after its time is up: a crowd may have held up the gateway meanwhile."""


class TemplateRenderer:
    """A few template processes, started when they are first needed, each rendering one template at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[Process] = []
        self._turns = asyncio.Semaphore(settings.template_processes)
        self._first: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Starts the first process in the background, ahead of the first request."""
        self._first = asyncio.create_task(self._start_first())

    async def close(self) -> None:
        """Ends all processes."""
        self._closed = True
        if self._first is not None:
            self._first.cancel()
            await asyncio.wait((self._first,))
        while self._idle:
            await _end(self._idle.pop())

    async def render(self, language: Language, template: str, variables: Mapping[str, Any]) -> str:
        """The text of a template. Raises GatewayError where the template fails or takes too much time or memory."""
        question = _question(language, template, variables)
        async with self._turns:
            answer = orjson.loads(await self._ask(question) or await self._ask(question) or PROCESS_DIED)
        if "error" in answer:
            raise internal(f"template: {answer['error']}")
        if len(answer["text"]) > self._settings.template_max_output:
            raise internal("template: the output is too long")
        return answer["text"]

    async def _start_first(self) -> None:
        async with self._turns:
            if (process := await self._take()) is not None:
                self._idle.append(process)

    async def _ask(self, question: bytes) -> bytes | None:
        """The answer; None where the process died. It may have died earlier, so a second try may succeed."""
        process = await self._take()
        if process is None:
            return None
        answer = None
        exchange = asyncio.create_task(_exchange(process, question))
        try:
            for patience_s in (seconds(self._settings.template_timeout_ns), HELD_UP_S):
                await asyncio.wait((exchange,), timeout=patience_s)
            if not exchange.done():
                raise internal("template: it took too long to render")
            answer = exchange.result()
            return answer
        except FAILURES as error:
            log.warning("a template process died", error=repr(error))
            return None
        finally:
            exchange.cancel()
            if answer is not None and not self._closed:
                self._idle.append(process)
            else:  # it may still be busy with the question
                await asyncio.shield(_end(process))

    async def _take(self) -> Process | None:
        """A process that is alive; None where none could be started."""
        try:
            return await self._idle_or_new()
        except FAILURES as error:
            log.warning("a template process did not start", error=repr(error))
            return None

    async def _idle_or_new(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None and process.stdin is not None and not process.stdin.is_closing():
                return process
            await _end(process)
            log.warning("a template process died", status=process.returncode)
        return await self._spawn()

    async def _spawn(self) -> Process:
        """A process that is ready, so that its start takes nothing of the template's time."""
        settings = self._settings
        arguments = (os.getpid(), settings.template_memory, settings.template_cache)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.prompt.templates.sandbox",
            *map(str, arguments),
            stdin=PIPE,
            stdout=PIPE,
            env=inherited_environment(),
        )
        try:
            async with asyncio.timeout(seconds(settings.start_timeout_ns)):
                await _receive(process)
        except BaseException:
            await asyncio.shield(_end(process))
            raise
        return process


def inherited_environment() -> dict[str, str]:
    """The environment of a template process."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


def _question(language: Language, template: str, variables: Mapping[str, Any]) -> bytes:
    """Raises GatewayError for variables that no encoder takes: a tool's schema is the client's."""
    try:
        return orjson.dumps({"language": language.value, "template": template, "variables": variables})
    except orjson.JSONEncodeError:
        raise invalid("the request is nested too deeply") from None


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
