"""One supervised process: spawned, watched for health, restarted with backoff, stopped."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process

from remuda.durations import NANOSECONDS, seconds
from remuda.endpoints import remove_socket
from remuda.logs import get_logger
from remuda.process import exit_reason
from remuda.settings import Settings
from remuda.supervisor.errors import StartError
from remuda.supervisor.health import until_serving
from remuda.supervisor.programs import Program


class Child:
    """Keeps one program running. Call `start`, then run `keep` as a task; to end, cancel it and call `stop`."""

    def __init__(self, program: Program, environment: dict[str, str], listen_fd: int, settings: Settings) -> None:
        self.program = program
        self._environment = environment
        self._inherited = (listen_fd,) if program.is_gateway else ()
        self._settings = settings
        self._process: Process | None = None
        self._log = get_logger()

    async def start(self) -> None:
        """Spawns the process and returns when it reports health. Raises StartError if it ends or takes too long."""
        remove_socket(self.program.health)
        process = await self._spawn()
        health = asyncio.create_task(until_serving(self.program.health, self._settings.health_interval_ns))
        end = asyncio.create_task(process.wait())
        timeout = seconds(self._settings.start_timeout_ns)
        try:
            await asyncio.wait({health, end}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                raise StartError(
                    f"{self.program.name} ended at its start ({exit_reason(end.result())}), see its log above"
                )
            if not health.done():
                raise StartError(
                    f"{self.program.name} did not report health within {timeout:g} s (REMUDA_START_TIMEOUT)"
                )
            health.result()
        finally:
            health.cancel()
            end.cancel()
            await asyncio.gather(health, end, return_exceptions=True)

    async def keep(self) -> None:
        """Restarts the process whenever it dies, until cancelled."""
        backoff = self._settings.restart_backoff_ns
        start = time.monotonic_ns()
        while True:
            reason = await self._until_dead()
            if time.monotonic_ns() - start >= self._settings.restart_reset_ns:
                backoff = self._settings.restart_backoff_ns
            self._log.error(
                "process died", name=self.program.name, reason=reason, restart_in_ms=backoff // NANOSECONDS["ms"]
            )
            await asyncio.sleep(seconds(backoff))
            backoff = min(2 * backoff, self._settings.restart_backoff_max_ns)
            start = time.monotonic_ns()
            await self._restart()

    async def stop(self, timeout_s: float) -> None:
        """Sends SIGTERM to the process. Kills it and its descendants when it has ended, or after `timeout_s`."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            self._log.warning("process did not stop in time", name=self.program.name, pid=process.pid)
        self.kill()
        await process.wait()

    def kill(self) -> None:
        """Kills the process and all that it has spawned."""
        if self._process is not None:
            _kill_group(self._process.pid)

    async def _spawn(self) -> Process:
        # In a session of its own the child does not get the terminal's Ctrl-C. The supervisor gets it and stops
        # the children in order.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self.program.arguments,
            env=self._environment,
            stdin=DEVNULL,
            stdout=sys.stderr.fileno(),
            pass_fds=self._inherited,
            start_new_session=True,
        )
        return self._process

    async def _restart(self) -> None:
        try:
            await self.start()
            self._log.info(
                "process restarted", name=self.program.name, pid=self._process.pid if self._process else None
            )
        except StartError as error:
            self._log.error("process did not restart", name=self.program.name, reason=str(error))
            self.kill()

    async def _until_dead(self) -> str:
        if self._process is None:
            return "never started"
        status = await self._process.wait()
        self.kill()  # the processes that it spawned must not live on beside its successor
        return exit_reason(status)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
