"""Runs a case until its end, Ctrl-C or SIGTERM."""

import asyncio
import signal
import subprocess
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from loadtests.children import ChildError
from loadtests.measurement import StreamError
from loadtests.options import OptionError

Result = TypeVar("Result")


class CaseError(Exception):
    """A case failed. The text says why."""

    exit_code = 1


class StoppedError(Exception):
    """Ctrl-C or SIGTERM stopped a case."""

    exit_code = 130


def finish(work: Coroutine[Any, Any, Result]) -> Result:
    """Returns the result of `work`. Its child processes are always gone by then. Raises CaseError or StoppedError."""
    try:
        return asyncio.run(_cancelled_by_signals(work))
    except asyncio.CancelledError:
        raise StoppedError from None
    except (ChildError, OptionError, StreamError, OSError, subprocess.CalledProcessError) as error:
        raise CaseError(str(error)) from error


async def _cancelled_by_signals(work: Coroutine[Any, Any, Result]) -> Result:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # some platforms have no signal handlers
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task
