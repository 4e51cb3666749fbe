"""The store's gRPC surface."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from remuda.v1 import store_pb2 as pb
from remuda.v1 import store_pb2_grpc
from store.errors import StoreError
from store.library import Library
from store.statuses import Context, abort

Reply = TypeVar("Reply")


class StoreService(store_pb2_grpc.StoreServicer):
    """Serves `remuda.v1.Store`. Files are read in threads, so that the loop never waits for a disk."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def Resolve(self, request: pb.ResolveRequest, context: Context) -> pb.Bundle:
        return await _answer(context, lambda: self._library.resolve(request.name))

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListReply:
        return await _answer(context, lambda: pb.ListReply(models=self._library.summaries()))

    async def Show(self, request: pb.ShowRequest, context: Context) -> pb.ShowReply:
        return await _answer(context, lambda: self._library.show(request.name, verbose=request.verbose))


async def _answer(context: Context, work: Callable[[], Reply]) -> Reply:
    """Runs blocking work. `store.progress` is the twin for work that reports progress."""
    try:
        return await asyncio.to_thread(work)
    except (StoreError, OSError) as error:
        await abort(context, error)
