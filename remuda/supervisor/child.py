"""One supervised process: spawned, watched for health, restarted with backoff, stopped."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process

from remuda.durations import NANOSECONDS
from remuda.logs import get_logger
from remuda.process import exit_reason
from remuda.settings import Settings
from remuda.supervisor.errors import StartError
from remuda.supervisor.health import forget_socket, until_serving
from remuda.supervisor.programs import Program

SECOND = NANOSECONDS["s"]


class Child:
    """Keeps one program running. `start`, then `keep` as a task; at the end cancel that task and `stop`."""

    def __init__(self, program: Program, environment: dict[str, str], listen_fd: int, settings: Settings) -> None:
        self.program = program
        self._environment = environment
        self._inherited = (listen_fd,) if program.is_gateway else ()
        self._settings = settings
        self._process: Process | None = None
        self._log = get_logger()

    async def start(self) -> None:
        """Spawns the process and returns when it reports health. Raises StartError when it ends or takes too long."""
        forget_socket(self.program.health)
        process = await self._spawn()
        healthy = asyncio.create_task(until_serving(self.program.health, self._settings.health_interval_ns))
        ended = asyncio.create_task(process.wait())
        timeout = self._settings.start_timeout_ns / SECOND
        try:
            await asyncio.wait({healthy, ended}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise StartError(
                    f"{self.program.name} ended at its start ({exit_reason(ended.result())}), see its log above"
                )
            if not healthy.done():
                raise StartError(
                    f"{self.program.name} did not report health within {timeout:g} s (REMUDA_START_TIMEOUT)"
                )
            healthy.result()
        finally:
            healthy.cancel()
            ended.cancel()
            await asyncio.gather(healthy, ended, return_exceptions=True)

    async def keep(self) -> None:
        """Restarts the process whenever it dies, until cancelled."""
        backoff = self._settings.restart_backoff_ns
        began = time.monotonic_ns()
        while True:
            reason = await self._until_dead()
            if time.monotonic_ns() - began >= self._settings.restart_reset_ns:
                backoff = self._settings.restart_backoff_ns
            self._log.error("process died", name=self.program.name, reason=reason, restart_in_ms=backoff // 1_000_000)
            await asyncio.sleep(backoff / SECOND)
            backoff = min(2 * backoff, self._settings.restart_backoff_max_ns)
            began = time.monotonic_ns()
            await self._restart()

    async def stop(self, seconds: float) -> None:
        """SIGTERM, and SIGKILL for it and its descendants if it lives on for `seconds`."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            self._log.warning("process did not stop in time", name=self.program.name, pid=process.pid)
        self.kill()
        await process.wait()

    def kill(self) -> None:
        """Ends the process and whatever it has spawned, at once."""
        if self._process is not None:
            _kill_group(self._process.pid)

    async def _spawn(self) -> Process:
        # a session of its own: the terminal's Ctrl-C reaches the supervisor alone, which stops everything in order
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
        self.kill()  # what it spawned must not live on beside its successor
        return exit_reason(status)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
