"""The gateway's client of the store. It remembers the models that it resolved before.

While the store tells which of them have changed, it is not asked again for the others. Otherwise it is asked for each
request, and what is remembered is the answer while the store is away, unless it was told that it has changed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Collection
from typing import NoReturn

import grpc
import grpc.aio

from gateway.errors import internal, invalid, not_found, unavailable
from gateway.links.dropped_calls import ask, is_away, persist
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

TRIAL_MARGIN_S = 5.0
"""Beyond the store's own time-outs, for the way there and back and for the last moments of its processes."""

WATCH_PAUSE_S = 0.5
"""Between two attempts to watch the store. Meanwhile it is asked for each request."""


class StoreLink:
    """Talks to the store over one channel."""

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        self._stub = store_pb2_grpc.StoreStub(channel)
        self._timeout_s = seconds(settings.submit_timeout_ns)
        # the store tries a vocabulary a second time, without texts, in a process that it may have to start
        self._trial_timeout_s = seconds(2 * settings.trial_timeout_ns + settings.start_timeout_ns) + TRIAL_MARGIN_S
        self._remembered: OrderedDict[str, store_pb2.Bundle] = OrderedDict()
        self._questions: dict[str, asyncio.Task[store_pb2.Bundle]] = {}  # that the store has not answered yet
        self._current: set[str] = set()  # names whose remembered bundles the store would have told to forget
        self._is_watching = False
        self._changes = 0  # messages of the watch so far

    async def watch(self) -> None:
        """Learns of changes, for ever. While the store is away, it tries again and again."""
        while True:
            try:
                await self._watch()
            except grpc.aio.AioRpcError as error:
                log.debug("the store tells of no changes", reason=str(error.code()))
            except Exception:  # without a watch every request asks the store, for ever
                log.exception("the watch of the store failed")
            finally:
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
        request = store_pb2.TryRequest(files=[bundle.model_path, *bundle.split_paths])
        try:  # a store that goes away is waited for no longer than for other questions; a trial has all its time
            return await persist(lambda _: self._try(request), self._timeout_s)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise unavailable("the model's vocabulary is still being tried, try again") from None
            _raise_gateway_error(error, "")

    async def models(self) -> list[store_pb2.ModelSummary]:
        """All installed models, newest first."""
        try:
            reply = await ask(self._stub.List, store_pb2.ListRequest(), self._timeout_s)
        except grpc.aio.AioRpcError as error:
            _raise_gateway_error(error, "")
        return list(reply.models)

    async def _watch(self) -> None:
        async for change in self._stub.Watch(store_pb2.WatchModelsRequest(), wait_for_ready=True):
            self._is_watching = True
            self._forget(change.full_names)

    def _try(self, request: store_pb2.TryRequest) -> Awaitable[store_pb2.Vocabulary]:
        return self._stub.Try(request, timeout=self._trial_timeout_s, wait_for_ready=True)

    async def _resolve(self, name: str) -> store_pb2.Bundle:
        """The store's answer; its last one, where it is away."""
        is_remembered, changes = name in self._remembered, self._changes
        try:
            bundle = await self._ask(name, is_remembered=is_remembered)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                self._drop({name})
            if not is_remembered or not is_away(error):
                raise
            # a bundle that has changed meanwhile is no answer: the store is asked again, with all the time there is
            return self._remembered[name] if name in self._remembered else await self._resolve(name)
        if changes == self._changes:  # else it may be older than the change
            self._remember(name, bundle)
        return bundle

    async def _ask(self, name: str, *, is_remembered: bool) -> store_pb2.Bundle:
        request = store_pb2.ResolveRequest(name=name)
        if is_remembered:
            return await self._stub.Resolve(request, timeout=min(self._timeout_s, PATIENCE_S))
        return await ask(self._stub.Resolve, request, self._timeout_s)

    def _forget_question(self, name: str, answer: "asyncio.Task[store_pb2.Bundle]") -> None:
        if self._questions.get(name) is answer:
            del self._questions[name]
        if not answer.cancelled():
            answer.exception()  # retrieved, also where everybody has left

    def _remember(self, name: str, bundle: store_pb2.Bundle) -> None:
        self._remembered[name] = bundle
        self._remembered.move_to_end(name)
        if bundle.watched and self._is_watching:
            self._current.add(name)
        if len(self._remembered) > REMEMBERED:
            self._drop({next(iter(self._remembered))})

    def _end_watch(self) -> None:
        self._is_watching = False
        self._current.clear()

    def _forget(self, full_names: Collection[str]) -> None:
        """Has the store asked for these models again."""
        self._changes += 1
        changed = frozenset(full_names)
        self._drop({name for name, bundle in self._remembered.items() if bundle.full_name in changed})
        if changed:
            # whoever asks from now on gets no older answer; no question knows the full name of its answer
            self._questions.clear()

    def _drop(self, names: Collection[str]) -> None:
        self._current.difference_update(names)
        for name in names:
            self._remembered.pop(name, None)


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
