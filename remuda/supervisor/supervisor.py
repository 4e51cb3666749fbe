"""The parent of all processes of one machine. It starts them together, keeps them alive and stops them in order."""

import asyncio
import resource
import signal
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from remuda.durations import seconds
from remuda.endpoints import Endpoints
from remuda.settings import Settings
from remuda.supervisor.child import Child
from remuda.supervisor.errors import StartError
from remuda.supervisor.instance import open_instance
from remuda.supervisor.listener import bound_address, open_listener, refuse_connections
from remuda.supervisor.programs import Program, child_environment, programs
from remuda.supervisor.ready import announce

OnReady = Callable[[Endpoints], Awaitable[None]]


def serve(settings: Settings) -> None:
    """Runs the server until SIGTERM, SIGINT or SIGHUP. Raises StartError with one line for the operator."""
    began = time.monotonic()
    with open_listener(settings.address, settings.listen_backlog) as listener:
        check_models_folder(settings.models)
        with open_instance(settings.run_dir, settings.gateways) as endpoints:
            allow_many_files()

            async def on_ready(endpoints: Endpoints) -> None:
                await announce(settings, endpoints, bound_address(listener, settings.address), began)

            supervisor = Supervisor(settings, listener, endpoints, programs(endpoints, settings.gateways), on_ready)
            asyncio.run(supervisor.run())


class Supervisor:
    """Runs `programs` as children of this process. Awaits `on_ready` once, when all of them report health."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        endpoints: Endpoints,
        programs: Sequence[Program],
        on_ready: OnReady,
    ) -> None:
        environment = child_environment(endpoints, listener.fileno())
        self._listener = listener
        self._children = [Child(program, environment, listener.fileno(), settings) for program in programs]
        self._settings = settings
        self._endpoints = endpoints
        self._on_ready = on_ready
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Runs until a signal comes. Raises StartError. Either way every child has ended by then."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        work = asyncio.create_task(self._work())
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            work.cancel()
            stop.cancel()
            await asyncio.gather(work, stop, return_exceptions=True)
            await self._stop_all()

    def _on_signal(self) -> None:
        if self._stop.is_set():  # a second signal: do not wait for the children
            for child in self._children:
                child.kill()
        self._stop.set()

    async def _work(self) -> None:
        await _together(child.start() for child in self._children)
        await self._on_ready(self._endpoints)
        await _together(child.keep() for child in self._children)

    async def _stop_all(self) -> None:
        """Stops the gateways first, within half of the time. The others have the rest."""
        refuse_connections(self._listener)
        timeout = seconds(self._settings.stop_timeout_ns)
        deadline = time.monotonic() + timeout
        await asyncio.gather(*(child.stop(timeout / 2) for child in self._children if child.program.is_gateway))
        rest = max(0.0, deadline - time.monotonic())
        await asyncio.gather(*(child.stop(rest) for child in self._children if not child.program.is_gateway))


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs all coroutines. The first StartError cancels the others and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


def check_models_folder(folder: Path) -> None:
    """Creates the models folder where it is missing. Raises StartError if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StartError(f"the models folder {folder} is not writable: {error.strerror} (OLLAMA_MODELS)") from error


def allow_many_files() -> None:
    """Raises the limit of open files to the hard limit. Every client connection of a gateway is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
