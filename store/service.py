"""The store's gRPC surface."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import TypeVar

from remuda.v1 import store_pb2 as pb
from remuda.v1 import store_pb2_grpc
from store.errors import StoreError
from store.library import Library
from store.shared_answer import SharedAnswer
from store.statuses import Context, abort
from store.trial.trials import Trials, version_of

Reply = TypeVar("Reply")


class StoreService(store_pb2_grpc.StoreServicer):
    """Serves `remuda.v1.Store`. All who list the models at once get one answer."""

    def __init__(self, library: Library, trials: Trials) -> None:
        self._library = library
        self._trials = trials
        self._listing = SharedAnswer(self._list)

    async def Resolve(self, request: pb.ResolveRequest, context: Context) -> pb.Bundle:
        return await _answer(context, self._library.resolve(request.name))

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListReply:
        return await _answer(context, self._listing.get())

    async def Show(self, request: pb.ShowRequest, context: Context) -> pb.ShowReply:
        return await _answer(context, self._library.show(request.name, verbose=request.verbose))

    async def Try(self, request: pb.TryRequest, context: Context) -> pb.Vocabulary:
        return await _answer(context, self._try(request.files))

    async def Watch(self, request: pb.WatchModelsRequest, context: Context) -> AsyncGenerator[pb.ModelsChanged]:
        async for names in self._library.changes.watch():
            yield pb.ModelsChanged(full_names=sorted(names))

    async def _try(self, files: Sequence[str]) -> pb.Vocabulary:
        return await self._trials.vocabulary(await asyncio.to_thread(version_of, files))

    async def _list(self) -> pb.ListReply:
        return pb.ListReply(models=await self._library.summaries())


async def _answer(context: Context, work: Awaitable[Reply]) -> Reply:
    """Tells the errors of `work`. `store.progress` is the twin for work that reports progress."""
    try:
        return await work
    except (StoreError, OSError) as error:
        await abort(context, error)
