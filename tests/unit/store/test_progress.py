"""Work that reports its progress, over a real gRPC server."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from remuda.endpoints import Endpoints
from remuda.rpc import open_channel, start_server
from store.errors import ModelNotFoundError
from store.progress import ClientLeftError, Progress, stream

METHOD = "/test.Work/Run"
ENOUGH = 10_000
"""Messages that no connection takes at once."""
LARGE = bytes(1 << 16)

Work = Callable[[Progress[bytes]], None]


class Worker:
    """A server that runs a test's work, and a client."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.work: Work = lambda progress: None
        self._channel = channel

    def add_to(self, server: grpc.aio.Server) -> None:
        handlers = {"Run": grpc.unary_stream_rpc_method_handler(self._run)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Work", handlers),))

    def call(self, work: Work) -> "grpc.aio.UnaryStreamCall[bytes, bytes]":
        self.work = work
        return self._channel.unary_stream(METHOD)(b"")

    async def _run(self, request: bytes, context: Any) -> AsyncGenerator[bytes]:
        async for message in stream(context, self.work):
            yield message


@pytest.fixture
async def worker(private_folder: Path) -> AsyncGenerator[Worker]:
    target = Endpoints(private_folder).store
    async with open_channel(target) as channel:
        worker = Worker(channel)
        server = await start_server(target, worker.add_to)
        yield worker
        await server.stop(None)


class Endless:
    """Work that reports until it is stopped."""

    def __init__(self) -> None:
        self.count = 0
        self.stopped = threading.Event()

    def __call__(self, progress: Progress[bytes]) -> None:
        try:
            for _ in range(ENOUGH):
                progress.report(LARGE)
                self.count += 1
        except ClientLeftError:
            self.stopped.set()
            raise


async def test_messages_come_in_order_and_the_stream_ends_with_the_work(worker: Worker) -> None:
    def work(progress: Progress[bytes]) -> None:
        for number in range(100):
            progress.report(str(number).encode())

    assert [message async for message in worker.call(work)] == [str(number).encode() for number in range(100)]


async def test_work_that_reports_nothing_is_an_empty_stream(worker: Worker) -> None:
    assert [message async for message in worker.call(lambda progress: None)] == []


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ModelNotFoundError("m"), grpc.StatusCode.NOT_FOUND, "model 'm' not found"),
        (OSError(28, "No space left", "/secret"), grpc.StatusCode.INTERNAL, "No space left"),
    ],
)
async def test_an_error_follows_the_messages_before_it(
    worker: Worker, error: Exception, status: grpc.StatusCode, text: str
) -> None:
    def work(progress: Progress[bytes]) -> None:
        progress.report(b"begun")
        raise error

    call = worker.call(work)
    assert await call.read() == b"begun"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert raised.value.code() is status
    assert text in (raised.value.details() or "")
    assert "/secret" not in (raised.value.details() or "")


async def test_a_client_that_leaves_stops_the_work(worker: Worker) -> None:
    work = Endless()
    call = worker.call(work)
    assert await call.read() == LARGE
    call.cancel()
    assert await asyncio.to_thread(work.stopped.wait, 10)
    assert work.count < ENOUGH


async def test_a_client_that_leaves_stops_work_that_reports_nothing(worker: Worker) -> None:
    stopped = threading.Event()

    def work(progress: Progress[bytes]) -> None:
        progress.report(b"begun")
        try:
            while not stopped.wait(0.01):
                progress.check()
        except ClientLeftError:
            stopped.set()
            raise

    call = worker.call(work)
    assert await call.read() == b"begun"
    call.cancel()
    assert await asyncio.to_thread(stopped.wait, 10)


async def test_all_threads_that_report_are_stopped(worker: Worker) -> None:
    parts = [Endless() for _ in range(4)]

    def work(progress: Progress[bytes]) -> None:
        def run(part: Endless) -> None:
            with pytest.raises(ClientLeftError):
                part(progress)

        threads = [threading.Thread(target=run, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    call = worker.call(work)
    assert await call.read() == LARGE
    call.cancel()
    for part in parts:
        assert await asyncio.to_thread(part.stopped.wait, 10)


async def test_the_work_waits_for_a_client_that_does_not_read() -> None:
    progress = Progress[bytes]()
    reports = [asyncio.create_task(asyncio.to_thread(progress.report, bytes([number]))) for number in range(3)]
    done, waiting = await asyncio.wait(reports, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(waiting)) == (1, 2)
    received = {await progress.next() for _ in reports}
    assert received == {b"\x00", b"\x01", b"\x02"}
    await asyncio.gather(*reports)
