"""Runs blocking work in a thread and streams its progress messages to a gRPC client."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from remuda.logs import get_logger
from store.errors import StoreError
from store.statuses import Context, abort

Message = TypeVar("Message")


class ClientLeftError(Exception):
    """The client has ended the call: nobody waits for the work any more."""


class Progress(Generic[Message]):
    """What the work reports to. It holds one message: whoever reports faster than the client reads has to wait."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=1)
        self._client_left = False

    def report(self, message: Message) -> None:
        """Blocks until there is room for the message; any thread may call it. Raises ClientLeftError."""
        asyncio.run_coroutine_threadsafe(self._put(message), self._loop).result()

    def check(self) -> None:
        """Raises ClientLeftError. Work calls it between steps that report nothing."""
        if self._client_left:
            raise ClientLeftError

    async def next(self) -> Message | None:
        """The next message; None after the last."""
        return await self._messages.get()

    async def end(self) -> None:
        """Follows the last message."""
        with suppress(ClientLeftError):
            await self._put(None)

    def abandon(self) -> None:
        """Makes the next `report` or `check` raise, and those that wait now."""
        self._client_left = True
        self._make_room()

    async def _put(self, message: Message | None) -> None:
        self.check()
        await self._messages.put(message)
        if self._client_left:
            self._make_room()  # for the next thread that waits
            raise ClientLeftError

    def _make_room(self) -> None:
        while not self._messages.empty():
            self._messages.get_nowait()


async def stream(context: Context, work: Callable[[Progress[Message]], None]) -> AsyncGenerator[Message]:
    """The messages of `work`. A StoreError or OSError ends the call with its status; a client that leaves ends the
    work at its next report."""
    progress = Progress[Message]()
    running = asyncio.create_task(_run(work, progress))
    try:
        while (message := await progress.next()) is not None:
            yield message
        if (error := await running) is not None:
            await abort(context, error)
    finally:
        progress.abandon()


async def _run(work: Callable[[Progress[Message]], None], progress: Progress[Message]) -> StoreError | OSError | None:
    """Runs the work to its end. Returns the error that the client is told."""
    try:
        await asyncio.to_thread(work, progress)
    except (StoreError, OSError) as error:
        return error
    except ClientLeftError:
        get_logger().info("the client left: its work is stopped")
    finally:
        await progress.end()
    return None
