"""What all processes share at their start and end: title, logs, signals, and an end no later than their parent's."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import setproctitle
import uvloop

from remuda.logs import configure_logs
from remuda.settings import Settings

PR_SET_PDEATHSIG = 1
PARENT_VARIABLE = "REMUDA_PARENT_PID"
"""Names the process that must not die before this one. A parent sets it for its children."""


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when `parent` dies, so that no crash leaves a process behind (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the parent died before the kernel was asked
        os._exit(1)


def begin_process(title: str, settings: Settings) -> None:
    """Names the process (`ps`, `top`, logs) and configures its logs."""
    setproctitle.setproctitle(f"remuda {title}")
    configure_logs(settings, title)


def exit_reason(status: int) -> str:
    """The words for an exit status of asyncio, which is negative for a signal: "exit status 1", "signal SIGKILL"."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def run_process(title: str, main: Callable[[Settings, asyncio.Event], Awaitable[None]]) -> None:
    """Runs `main` in uvloop until it returns. SIGTERM and SIGINT set its event, and `main` returns when it is set."""
    settings = Settings()
    if parent := os.environ.get(PARENT_VARIABLE):
        die_with_parent(int(parent))
    begin_process(title, settings)

    async def supervised() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await main(settings, stop)

    uvloop.run(supervised())
