"""Asks a process whether it serves: `grpc.health.v1` on its unix socket."""

import asyncio
from typing import Any, cast

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from remuda.durations import seconds
from remuda.endpoints import socket_path
from remuda.rpc import open_channel


async def until_serving(target: str, interval_ns: int) -> None:
    """Returns when the process at `target` answers SERVING. It has no timeout of its own."""
    interval = seconds(interval_ns)
    # gRPC backs off after a failed connection, so the first attempt waits for the socket's file.
    while not socket_path(target).exists():  # noqa: ASYNC110 (another process creates it)
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
