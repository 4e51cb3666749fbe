"""The gateway's client of the store. While the store is away, it remembers the models that it resolved before."""

import asyncio
from collections import OrderedDict
from typing import NoReturn

import grpc
import grpc.aio

from gateway.errors import internal, invalid, not_found, unavailable
from gateway.links.dropped_calls import ask, is_away
from gateway.links.model_names import local_name
from remuda.durations import seconds
from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1 import store_pb2, store_pb2_grpc

log = get_logger()

REMEMBERED = 256
"""Bundles kept at most. One is a few kilobytes."""

PATIENCE_S = 1.0
"""How long a store that hangs may hold up a request whose bundle is remembered. A healthy one answers within 1 ms."""


class StoreLink:
    """Talks to the store over one channel."""

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        self._stub = store_pb2_grpc.StoreStub(channel)
        self._timeout_s = seconds(settings.submit_timeout_ns)
        self._trial_timeout_s = seconds(settings.trial_timeout_ns)
        self._remembered: OrderedDict[str, store_pb2.Bundle] = OrderedDict()
        self._questions: dict[str, asyncio.Task[store_pb2.Bundle]] = {}  # that the store has not answered yet

    async def resolve(self, name: str) -> store_pb2.Bundle:
        """The model that the client calls `name`. Raises GatewayError with the texts of generate and chat.

        Of a crowd that wants one model, the first request asks and all get the answer, also when the first one leaves.
        """
        key = local_name(name)
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = asyncio.create_task(self._resolve(key))
            question.add_done_callback(lambda answer: self._forget_question(key, answer))
        try:
            return await asyncio.shield(question)
        except grpc.aio.AioRpcError as error:
            _raise_gateway_error(error, f"model '{name}' not found")

    async def show(self, name: str, *, verbose: bool) -> store_pb2.ShowReply:
        """The reply to `/api/show`. Raises GatewayError with its texts."""
        full_name = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        request = store_pb2.ShowRequest(name=local_name(name), verbose=verbose)
        try:
            return await ask(self._stub.Show, request, self._timeout_s)
        except grpc.aio.AioRpcError as error:
            _raise_gateway_error(error, f"model '{full_name}' not found")

    async def vocabulary(self, bundle: store_pb2.Bundle) -> store_pb2.Vocabulary:
        """What the store knows of a model's vocabulary by trying it. Raises GatewayError where it is unusable."""
        request = store_pb2.TryRequest(name=bundle.full_name)
        try:
            return await ask(self._stub.Try, request, self._trial_timeout_s)
        except grpc.aio.AioRpcError as error:
            _raise_gateway_error(error, f"model '{bundle.name}' not found")

    async def models(self) -> list[store_pb2.ModelSummary]:
        """All installed models, newest first."""
        try:
            reply = await ask(self._stub.List, store_pb2.ListRequest(), self._timeout_s)
        except grpc.aio.AioRpcError as error:
            _raise_gateway_error(error, "")
        return list(reply.models)

    async def _resolve(self, name: str) -> store_pb2.Bundle:
        """The store's answer; its last one, where it is away."""
        remembered = self._remembered.get(name)
        try:
            bundle = await self._ask(name, is_remembered=remembered is not None)
        except grpc.aio.AioRpcError as error:
            if remembered is None or not is_away(error):
                raise
            return remembered
        self._remember(name, bundle)
        return bundle

    async def _ask(self, name: str, *, is_remembered: bool) -> store_pb2.Bundle:
        request = store_pb2.ResolveRequest(name=name)
        if is_remembered:
            return await self._stub.Resolve(request, timeout=min(self._timeout_s, PATIENCE_S))
        return await ask(self._stub.Resolve, request, self._timeout_s)

    def _forget_question(self, name: str, answer: "asyncio.Task[store_pb2.Bundle]") -> None:
        del self._questions[name]
        if not answer.cancelled():
            answer.exception()  # retrieved, also where everybody has left

    def _remember(self, name: str, bundle: store_pb2.Bundle) -> None:
        self._remembered[name] = bundle
        self._remembered.move_to_end(name)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)


def _raise_gateway_error(error: grpc.aio.AioRpcError, absent: str) -> NoReturn:
    if is_away(error):
        raise unavailable("the model store is not available") from None
    match error.code():
        case grpc.StatusCode.INVALID_ARGUMENT:
            raise invalid("invalid model name") from None
        case grpc.StatusCode.NOT_FOUND:
            raise not_found(absent) from None
        case grpc.StatusCode.FAILED_PRECONDITION:
            raise internal(error.details() or "the model's files are damaged") from None
        case _:
            raise error
