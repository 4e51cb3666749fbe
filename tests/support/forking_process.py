"""Starts processes while gRPC calls run, and prints how many of them did not exit with status 0."""

import asyncio
import sys
from typing import Any

import uvloop

from remuda.rpc import open_channel, start_server
from remuda.v1 import store_pb2, store_pb2_grpc

CHILDREN = 300


class PromptStore(store_pb2_grpc.StoreServicer):
    """Answers every call without delay."""

    async def List(self, request: store_pb2.ListRequest, context: Any) -> store_pb2.ListReply:  # noqa: N802
        return store_pb2.ListReply()


async def main(target: str) -> None:
    server = await start_server(
        target, lambda server: store_pb2_grpc.add_StoreServicer_to_server(PromptStore(), server)
    )
    async with open_channel(target) as channel:
        stub = store_pb2_grpc.StoreStub(channel)

        async def call() -> None:
            while True:
                await stub.List(store_pb2.ListRequest(), wait_for_ready=True)

        calls = [asyncio.create_task(call()) for _ in range(4)]
        statuses = [await (await asyncio.create_subprocess_exec("true")).wait() for _ in range(CHILDREN)]
        for each in calls:
            each.cancel()
        await asyncio.wait(calls)
    await server.stop(None)
    sys.stdout.write(f"{sum(status != 0 for status in statuses)}\n")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
