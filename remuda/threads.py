"""Threads for one kind of blocking work, so that a crowd of one kind does not hold up another."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Threads:
    """A bounded number of threads, and of calls that wait for one."""

    def __init__(self, name: str, threads: int, waiting: int, overloaded: Callable[[], Exception]) -> None:
        """`overloaded` makes the error of a call beyond both bounds."""
        self._executor = ThreadPoolExecutor(threads, name)
        self._most = threads + waiting
        self._overloaded = overloaded
        self._open = 0  # calls that wait or run, also those whose caller has left

    async def run(self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """What `work` returns. Raises what it raises.

        Cancelling the caller drops work that has not begun. What has begun goes on and keeps its thread.
        """
        if self._open >= self._most:
            raise self._overloaded()
        loop = asyncio.get_running_loop()
        self._open += 1
        kept = [partial(work, *args, **kwargs)]
        call = self._executor.submit(lambda: kept[0]())
        call.add_done_callback(lambda _: self._end(loop, kept))
        return await asyncio.wrap_future(call)

    def _end(self, loop: asyncio.AbstractEventLoop, kept: list[Any]) -> None:
        kept.clear()  # the executor holds a call that was cancelled until a thread comes to it
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._count_end)

    def _count_end(self) -> None:
        self._open -= 1
