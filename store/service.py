"""The store's gRPC surface."""

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio

from remuda.logs import get_logger
from remuda.v1 import store_pb2 as pb
from remuda.v1 import store_pb2_grpc
from store.errors import CorruptModelError, InvalidNameError, ModelNotFoundError, StoreError
from store.library import Library

Context = grpc.aio.ServicerContext[Any, Any]
Reply = TypeVar("Reply")

_STATUS: dict[type[StoreError], grpc.StatusCode] = {
    InvalidNameError: grpc.StatusCode.INVALID_ARGUMENT,
    ModelNotFoundError: grpc.StatusCode.NOT_FOUND,
    CorruptModelError: grpc.StatusCode.FAILED_PRECONDITION,
}


class StoreService(store_pb2_grpc.StoreServicer):
    """Serves `remuda.v1.Store`. Files are read in threads: the loop never waits for a disk."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def Resolve(self, request: pb.ResolveRequest, context: Context) -> pb.Bundle:
        return await _answer(context, lambda: self._library.resolve(request.name))

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListReply:
        return await _answer(context, lambda: pb.ListReply(models=self._library.summaries()))

    async def Show(self, request: pb.ShowRequest, context: Context) -> pb.ShowReply:
        return await _answer(context, lambda: self._library.show(request.name, verbose=request.verbose))


async def _answer(context: Context, work: Callable[[], Reply]) -> Reply:
    try:
        return await asyncio.to_thread(work)
    except StoreError as error:
        await _abort(context, _STATUS[type(error)], str(error))
    except OSError as error:  # its text holds paths, which are nobody's business but the operator's
        get_logger().error("the models folder cannot be read", reason=str(error))
        await _abort(context, grpc.StatusCode.INTERNAL, f"the models folder cannot be read: {error.strerror}")


async def _abort(context: Context, status: grpc.StatusCode, text: str) -> NoReturn:
    await context.abort(status, text)
    raise AssertionError("abort raises")
