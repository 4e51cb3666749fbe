"""One answer for all who ask at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class SharedAnswer(Generic[Answer]):
    """Does `work` once for all who wait for its next turn. No answer is older than the question."""

    def __init__(self, work: Callable[[], Awaitable[Answer]]) -> None:
        self._work = work
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[Answer] | None = None

    async def get(self) -> Answer:
        """Raises what the work raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._do())
            self._next.add_done_callback(_retrieve)
        return await asyncio.shield(self._next)

    async def _do(self) -> Answer:
        async with self._turn:
            self._next = None  # who asks from now on may know of changes that this answer misses
            return await self._work()


def _retrieve(task: asyncio.Task[Answer]) -> None:
    """Nobody may be left to whom the error could be told."""
    if not task.cancelled():
        task.exception()
