"""When the gateway asks the store, and when it answers from memory. Sockets and gRPC are real."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest

from gateway.errors import ErrorKind, GatewayError
from gateway.links import store as module
from gateway.links.store import StoreLink
from remuda.endpoints import Endpoints
from remuda.rpc import open_channel, start_server
from remuda.settings import Settings
from remuda.v1 import store_pb2 as pb
from remuda.v1 import store_pb2_grpc

DEADLINE_S = 20.0
BREAK = "break"
T = TypeVar("T")
Seen = asyncio.Queue[list[str] | None]


class WatchedStore(store_pb2_grpc.StoreServicer):
    """Knows every model but `nobody`, and tells of the changes that the test puts into `changes`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.asking: asyncio.Queue[str] = asyncio.Queue()
        self.changes: asyncio.Queue[list[str] | str] = asyncio.Queue()
        self.is_watched = True
        self.absent = {"nobody"}
        self.tried: list[list[str]] = []
        self.trial_ends: grpc.StatusCode | None = None
        self.answers: asyncio.Event | None = None
        """Where it is there, nothing is resolved before it is set."""

    async def Resolve(self, request: pb.ResolveRequest, context: Any) -> pb.Bundle:  # noqa: N802
        self.asked.append(request.name)
        self.asking.put_nowait(request.name)
        if self.answers is not None:
            await self.answers.wait()
        if request.name in self.absent:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such model")
        return pb.Bundle(name=request.name, full_name=f"full/{request.name}", watched=self.is_watched)

    async def Try(self, request: pb.TryRequest, context: Any) -> pb.Vocabulary:  # noqa: N802
        self.tried.append(list(request.files))
        if self.trial_ends is not None:
            await context.abort(self.trial_ends, "no")
        return pb.Vocabulary()

    async def Watch(self, request: pb.WatchModelsRequest, context: Any) -> AsyncGenerator[pb.ModelsChanged]:  # noqa: N802
        yield pb.ModelsChanged()
        while (names := await self.changes.get()) != BREAK:
            yield pb.ModelsChanged(full_names=names)


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """The changes that the link has seen; None for the end of its watch."""
    queue: Seen = asyncio.Queue()
    forget, end_watch = StoreLink._forget, StoreLink._end_watch

    def seeing(link: StoreLink, names: Any) -> None:
        forget(link, names)
        queue.put_nowait(list(names))

    def ending(link: StoreLink) -> None:
        end_watch(link)
        queue.put_nowait(None)

    monkeypatch.setattr(StoreLink, "_forget", seeing)
    monkeypatch.setattr(StoreLink, "_end_watch", ending)
    return queue


@pytest.fixture
async def link(
    store: WatchedStore, seen: Seen, private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[StoreLink]:
    """A link that watches the store."""
    monkeypatch.setattr(module, "WATCH_PAUSE_S", 0.01)
    target = Endpoints(private_folder).store
    server = await start_server(target, lambda server: store_pb2_grpc.add_StoreServicer_to_server(store, server))
    async with asyncio.timeout(DEADLINE_S), open_channel(target) as channel:
        link = StoreLink(channel, Settings())
        watching = asyncio.create_task(link.watch())
        await seen.get()
        yield link
        watching.cancel()
        await asyncio.wait((watching,))
    await server.stop(None)


async def soon(awaited: Awaitable[T]) -> T:
    """Ends a hang."""
    return await asyncio.wait_for(awaited, DEADLINE_S)


async def test_a_model_is_asked_for_once_until_it_changes(link: StoreLink, store: WatchedStore, seen: Seen) -> None:
    for _ in range(3):
        assert (await link.resolve("x")).name == "x"
        await link.resolve("y")
    assert store.asked == ["x", "y"]
    store.changes.put_nowait(["full/x"])
    await seen.get()
    for _ in range(3):
        await link.resolve("x")
        await link.resolve("y")
    assert store.asked == ["x", "y", "x"]


async def test_what_is_not_watched_or_not_there_is_asked_for_each_time(link: StoreLink, store: WatchedStore) -> None:
    store.is_watched = False
    for _ in range(2):
        await link.resolve("x")
        with pytest.raises(GatewayError, match="not found"):
            await link.resolve("nobody")
    assert store.asked == ["x", "nobody"] * 2


async def test_an_answer_that_a_change_overtook_is_not_kept(link: StoreLink, store: WatchedStore, seen: Seen) -> None:
    store.answers = asyncio.Event()
    question = asyncio.create_task(link.resolve("x"))
    await store.asking.get()
    store.changes.put_nowait(["full/x"])
    await seen.get()
    store.answers.set()
    await question
    await link.resolve("x")
    await link.resolve("x")
    assert store.asked == ["x", "x"]


async def test_without_a_watch_the_store_is_asked_each_time(
    link: StoreLink, store: WatchedStore, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    await link.resolve("x")
    monkeypatch.setattr(module, "WATCH_PAUSE_S", DEADLINE_S)
    store.changes.put_nowait(BREAK)
    assert await seen.get() is None
    for _ in range(2):
        await link.resolve("x")
    assert store.asked == ["x"] * 3


async def test_a_new_watch_begins_with_nothing(link: StoreLink, store: WatchedStore, seen: Seen) -> None:
    await link.resolve("x")
    store.changes.put_nowait(BREAK)
    assert [await seen.get(), await seen.get()] == [None, []]
    for _ in range(3):
        await link.resolve("x")
    assert store.asked == ["x", "x"]


async def test_a_bundle_that_has_changed_is_no_fallback(
    link: StoreLink, store: WatchedStore, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    store.is_watched = False
    await link.resolve("x")
    await soon(store.asking.get())
    store.changes.put_nowait(["full/x"])
    await soon(seen.get())
    store.answers = asyncio.Event()
    question = asyncio.create_task(link.resolve("x"))
    await soon(store.asking.get())
    await asyncio.wait((question,), timeout=0.2)
    assert not question.done()
    store.answers.set()
    assert (await question).name == "x"


async def test_a_bundle_that_changes_while_the_store_hangs_is_no_fallback(
    link: StoreLink, store: WatchedStore, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.5)
    store.is_watched = False
    await link.resolve("x")
    await soon(store.asking.get())
    store.answers = asyncio.Event()
    question = asyncio.create_task(link.resolve("x"))
    await soon(store.asking.get())
    store.changes.put_nowait(["full/x"])
    await soon(seen.get())
    await soon(store.asking.get())  # once more
    store.answers.set()
    assert (await question).name == "x"


async def test_a_model_that_is_gone_is_forgotten(
    link: StoreLink, store: WatchedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.is_watched = False
    await link.resolve("x")
    store.absent.add("x")
    with pytest.raises(GatewayError, match="not found"):
        await link.resolve("x")
    assert not link._remembered


async def test_who_asks_after_a_change_gets_no_older_answer(link: StoreLink, store: WatchedStore, seen: Seen) -> None:
    store.answers = asyncio.Event()
    older = asyncio.create_task(link.resolve("x"))
    await soon(store.asking.get())
    store.changes.put_nowait(["full/x"])
    await soon(seen.get())
    newer = asyncio.create_task(link.resolve("x"))
    await soon(store.asking.get())
    same = asyncio.create_task(link.resolve("x"))
    store.answers.set()
    await asyncio.gather(older, newer, same)
    assert store.asked == ["x", "x"]
    assert not link._questions


async def test_a_watch_that_fails_begins_again(
    link: StoreLink, store: WatchedStore, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    await link.resolve("x")
    seeing = StoreLink._forget

    def failing(link: StoreLink, names: Any) -> None:
        monkeypatch.setattr(StoreLink, "_forget", seeing)
        raise ValueError("a mistake")

    monkeypatch.setattr(StoreLink, "_forget", failing)
    store.changes.put_nowait(["full/x"])
    assert [await soon(seen.get()), await soon(seen.get())] == [None, []]
    await link.resolve("x")
    assert store.asked == ["x", "x"]


async def test_the_files_that_will_be_loaded_are_tried(link: StoreLink, store: WatchedStore) -> None:
    await link.vocabulary(pb.Bundle(name="x", model_path="/1", split_paths=["/2", "/3"]))
    assert store.tried == [["/1", "/2", "/3"]]


async def test_a_trial_that_goes_on_is_told_as_such(link: StoreLink, store: WatchedStore) -> None:
    store.trial_ends = grpc.StatusCode.DEADLINE_EXCEEDED
    with pytest.raises(GatewayError, match="still being tried, try again") as caught:
        await link.vocabulary(pb.Bundle(name="x", model_path="/1"))
    assert caught.value.kind is ErrorKind.UNAVAILABLE


async def test_a_gateway_waits_for_all_that_a_trial_may_take(store: WatchedStore) -> None:
    """The store tries a vocabulary twice, and may have to start a process between."""
    async with open_channel("unix:/nowhere") as channel:
        settings = Settings()
        link = StoreLink(channel, settings)
        assert link._trial_timeout_s * 1e9 > 2 * settings.trial_timeout_ns + settings.start_timeout_ns
