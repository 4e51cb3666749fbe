"""Ends a gRPC call with the status of the store's error."""

from typing import Any, NoReturn

import grpc
import grpc.aio

from remuda.logs import get_logger
from store.errors import CorruptModelError, InvalidNameError, ModelNotFoundError, StoreError, UnavailableError

Context = grpc.aio.ServicerContext[Any, Any]

_STATUS: dict[type[StoreError], grpc.StatusCode] = {
    InvalidNameError: grpc.StatusCode.INVALID_ARGUMENT,
    ModelNotFoundError: grpc.StatusCode.NOT_FOUND,
    CorruptModelError: grpc.StatusCode.FAILED_PRECONDITION,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
}


async def abort(context: Context, error: StoreError | OSError) -> NoReturn:
    """Ends the call. An OSError's text holds paths, which only the log may show."""
    if isinstance(error, StoreError):
        await context.abort(_STATUS[type(error)], str(error))
    else:
        get_logger().error("the models folder cannot be read", reason=str(error))
        reason = f"the models folder cannot be read: {error.strerror}"
        await context.abort(grpc.StatusCode.INTERNAL, reason)
    raise AssertionError("abort raises")
