"""The gateway's client of the store. It remembers the models that it resolved before.

While the store tells which of them have changed, it is not asked again for the others. Otherwise it is asked for each
request, and what is remembered is the answer while the store is away.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
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


WATCH_PAUSE_S = 0.5
"""Between two attempts to watch the store. Meanwhile it is asked for each request."""


class StoreLink:
    """Talks to the store over one channel."""

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        self._stub = store_pb2_grpc.StoreStub(channel)
        self._timeout_s = seconds(settings.submit_timeout_ns)
        self._trial_timeout_s = seconds(settings.trial_timeout_ns)
        self._remembered: OrderedDict[str, store_pb2.Bundle] = OrderedDict()
        self._questions: dict[str, asyncio.Task[store_pb2.Bundle]] = {}  # that the store has not answered yet
        self._current: set[str] = set()  # names whose remembered bundles the store would have told to forget
        self._is_watching = False
        self._changes = 0  # messages of the watch so far

    async def watch(self) -> None:
        """Learns of changes, for ever. While the store is away, it tries again and again."""
        while True:
            try:
                async for change in self._stub.Watch(store_pb2.WatchModelsRequest(), wait_for_ready=True):
                    self._is_watching = True
                    self._forget(change.full_names)
            except grpc.aio.AioRpcError as error:
                log.debug("the store tells of no changes", reason=str(error.code()))
            self._end_watch()
            await asyncio.sleep(WATCH_PAUSE_S)

    async def resolve(self, name: str) -> store_pb2.Bundle:
        """The model that the client calls `name`. Raises GatewayError with the texts of generate and chat.

        Of a crowd that wants one model, the first request asks and all get the answer, also when the first one leaves.
        """
        key = local_name(name)
        if key in self._current:
            self._remembered.move_to_end(key)
            return self._remembered[key]
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
        remembered, changes = self._remembered.get(name), self._changes
        try:
            bundle = await self._ask(name, is_remembered=remembered is not None)
        except grpc.aio.AioRpcError as error:
            if remembered is None or not is_away(error):
                raise
            return remembered
        self._remember(name, bundle)
        if bundle.watched and self._is_watching and changes == self._changes:  # else it may be older than the change
            self._current.add(name)
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
            oldest, _ = self._remembered.popitem(last=False)
            self._current.discard(oldest)

    def _end_watch(self) -> None:
        self._is_watching = False
        self._current.clear()

    def _forget(self, full_names: Collection[str]) -> None:
        """Has the store asked for these models again."""
        self._changes += 1
        changed = frozenset(full_names)
        self._current = {name for name in self._current if self._remembered[name].full_name not in changed}


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
