"""The store's gRPC surface."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from remuda.v1 import store_pb2 as pb
from remuda.v1 import store_pb2_grpc
from store.errors import StoreError
from store.library import Library
from store.statuses import Context, abort
from store.trial.trials import Trials, version_of

Reply = TypeVar("Reply")


class StoreService(store_pb2_grpc.StoreServicer):
    """Serves `remuda.v1.Store`. Files are read in threads, so that the loop never waits for a disk."""

    def __init__(self, library: Library, trials: Trials) -> None:
        self._library = library
        self._trials = trials

    async def Resolve(self, request: pb.ResolveRequest, context: Context) -> pb.Bundle:
        return await _answer(context, lambda: self._library.resolve(request.name))

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListReply:
        return await _answer(context, lambda: pb.ListReply(models=self._library.summaries()))

    async def Show(self, request: pb.ShowRequest, context: Context) -> pb.ShowReply:
        return await _answer(context, lambda: self._library.show(request.name, verbose=request.verbose))

    async def Try(self, request: pb.TryRequest, context: Context) -> pb.Vocabulary:
        version = await _answer(context, lambda: version_of(self._library.resolve(request.name)))
        try:
            return await self._trials.vocabulary(version)
        except StoreError as error:
            await abort(context, error)


async def _answer(context: Context, work: Callable[[], Reply]) -> Reply:
    """Runs blocking work. `store.progress` is the twin for work that reports progress."""
    try:
        return await asyncio.to_thread(work)
    except (StoreError, OSError) as error:
        await abort(context, error)
