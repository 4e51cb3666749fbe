"""Whether a process serves: `grpc.health.v1` on its unix socket."""

import asyncio
from pathlib import Path
from typing import Any, cast

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from remuda.durations import NANOSECONDS
from remuda.rpc import open_channel


def forget_socket(target: str) -> None:
    """Removes the socket that a killed predecessor left behind, so that its path means a new process."""
    _path(target).unlink(missing_ok=True)


async def until_serving(target: str, interval_ns: int) -> None:
    """Returns when the process at `target` answers SERVING. It has no timeout of its own."""
    interval = interval_ns / NANOSECONDS["s"]
    # gRPC backs off after a failed connection; the file tells sooner that it is worth trying
    while not _path(target).exists():  # noqa: ASYNC110 (another process creates it)
        await asyncio.sleep(interval)
    async with open_channel(target) as channel:
        while not await _is_serving(channel):  # noqa: ASYNC110
            await asyncio.sleep(interval)


async def _is_serving(channel: grpc.aio.Channel) -> bool:
    stub: Any = cast(Any, health_pb2_grpc).HealthStub(channel)  # the package has no types
    try:
        answer: health_pb2.HealthCheckResponse = await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
    except grpc.aio.AioRpcError:
        return False
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def _path(target: str) -> Path:
    return Path(target.removeprefix("unix:"))
