"""Calls to the other processes: which failures say that the peer is away, and for how long a call is made again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import grpc.aio

RETRY_PAUSE_S = 0.05
"""Between two attempts, where the channel stands but the peer refuses."""

Asked = TypeVar("Asked")
Reply = TypeVar("Reply")


def is_dropped(error: grpc.aio.AioRpcError) -> bool:
    """Whether the peer has dropped the call: it has died, is not there yet, or stops, which leaves CANCELLED.

    A call that is cancelled on this side raises CancelledError instead.
    """
    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def is_away(error: grpc.aio.AioRpcError) -> bool:
    """Whether the peer has dropped the call, or has not answered in time."""
    return is_dropped(error) or error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def ask(method: grpc.aio.UnaryUnaryMultiCallable[Asked, Reply], request: Asked, timeout_s: float) -> Reply:
    """Calls a method of the peer, and again while the peer is away or drops the call. Raises the AioRpcError of the
    last attempt."""
    return await persist(lambda left_s: method(request, timeout=left_s, wait_for_ready=True), timeout_s)


async def persist(call: Callable[[float], Awaitable[Reply]], timeout_s: float) -> Reply:
    """Makes a call again while the peer drops it. Raises the AioRpcError of the last attempt.

    `call` gets the seconds that are left. It waits for the channel itself, if it wants to.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        try:
            return await call(max(deadline - loop.time(), 0))
        except grpc.aio.AioRpcError as error:
            if not is_dropped(error) or loop.time() + RETRY_PAUSE_S >= deadline:
                raise
        await asyncio.sleep(RETRY_PAUSE_S)
