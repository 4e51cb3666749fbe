"""The gateway's client of the store. While the store is away, it remembers the models that it resolved before."""

from collections import OrderedDict
from typing import NoReturn

import grpc
import grpc.aio

from gateway.errors import internal, invalid, not_found, unavailable
from gateway.links.model_names import local_name
from remuda.durations import seconds
from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1 import store_pb2, store_pb2_grpc

log = get_logger()

REMEMBERED = 256
"""Bundles kept at most. One is a few kilobytes."""

AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
PATIENCE_S = 1.0
"""How long a store that hangs may hold up a request whose bundle is remembered. A healthy one answers within 1 ms."""


class StoreLink:
    """Talks to the store over one channel."""

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        self._stub = store_pb2_grpc.StoreStub(channel)
        self._timeout_s = seconds(settings.submit_timeout_ns)
        self._remembered: OrderedDict[str, store_pb2.Bundle] = OrderedDict()

    async def resolve(self, name: str) -> store_pb2.Bundle:
        """The model that the client calls `name`. Raises GatewayError with the texts of generate and chat."""
        key = local_name(name)
        remembered = self._remembered.get(key)
        timeout_s = self._timeout_s if remembered is None else min(self._timeout_s, PATIENCE_S)
        try:
            request = store_pb2.ResolveRequest(name=key)
            bundle = await self._stub.Resolve(request, timeout=timeout_s, wait_for_ready=remembered is None)
        except grpc.aio.AioRpcError as error:
            if error.code() in AWAY and remembered is not None:
                return remembered
            _raise_api_error(error, f"model '{name}' not found")
        self._remember(key, bundle)
        return bundle

    async def show(self, name: str, *, verbose: bool) -> store_pb2.ShowReply:
        """The reply to `/api/show`. Raises GatewayError with its texts."""
        full_name = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        try:
            request = store_pb2.ShowRequest(name=local_name(name), verbose=verbose)
            return await self._stub.Show(request, timeout=self._timeout_s, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            _raise_api_error(error, f"model '{full_name}' not found")

    async def models(self) -> list[store_pb2.ModelSummary]:
        """All installed models, newest first."""
        try:
            reply = await self._stub.List(store_pb2.ListRequest(), timeout=self._timeout_s, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            _raise_api_error(error, "")
        return list(reply.models)

    def _remember(self, name: str, bundle: store_pb2.Bundle) -> None:
        self._remembered[name] = bundle
        self._remembered.move_to_end(name)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)


def _raise_api_error(error: grpc.aio.AioRpcError, absent: str) -> NoReturn:
    match error.code():
        case grpc.StatusCode.INVALID_ARGUMENT:
            raise invalid("invalid model name") from None
        case grpc.StatusCode.NOT_FOUND:
            raise not_found(absent) from None
        case grpc.StatusCode.FAILED_PRECONDITION:
            raise internal(error.details() or "the model's files are damaged") from None
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED:
            raise unavailable("the model store is not available") from None
        case _:
            raise error
