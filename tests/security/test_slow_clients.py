"""A client that makes no progress loses its connection, whatever it stalls in; one that is only slow does not."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.gateway_world import STOP
from support.http_edge import Client, Edge, edge_in

GET = b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n"
CHAT = b'{"model": "cria", "messages": [{"role": "user", "content": "hi"}], "stream": %b}'
TOO_SLOW = "the body of the request does not arrive"
NEVER_READ = 4096
MEGABYTE = 1 << 20


def post(path: str, length: int, headers: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n" % (path.encode(), length, headers)


def chat(*, stream: bool, headers: bytes = b"") -> bytes:
    body = CHAT % (b"true" if stream else b"false")
    return post("/api/chat", len(body), headers) + body


@pytest.fixture
async def edge(private_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Edge]:
    monkeypatch.setenv("REMUDA_STALL_TIMEOUT", "200ms")
    monkeypatch.setenv("REMUDA_STALL_BYTES", "1000")
    monkeypatch.setenv("REMUDA_IDLE_TIMEOUT", "100ms")
    monkeypatch.setenv("REMUDA_MAX_UNREAD", str(1 << 30))
    async with edge_in(private_folder) as edge:
        yield edge


@contextlib.asynccontextmanager
async def trickling(client: Client) -> AsyncGenerator[None]:
    """The client sends a byte now and then."""

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await client.send(b"a")
                await asyncio.sleep(0.01)

    task = asyncio.create_task(send())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_a_connection_that_never_sends_a_byte_is_closed(edge: Edge) -> None:
    client = await edge.connect()
    assert await client.rest() == b""
    await edge.all_closed()


@pytest.mark.parametrize("before", [b"", GET + b"\r\n"])
async def test_a_head_that_does_not_end_is_refused(edge: Edge, before: bytes) -> None:
    client = await edge.connect()
    if before:
        await client.send(before)
        assert (await client.reply()).status == 200
    await client.send(GET + b"X: ")
    async with trickling(client):
        assert (await client.rest()).startswith(b"HTTP/1.1 408 ")
    await edge.all_closed()


async def test_a_connection_that_rests_is_closed(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(GET, b"\r\n")
    assert (await client.reply()).status == 200
    assert await client.rest() == b""
    await edge.all_closed()


@pytest.mark.parametrize("trickles", [False, True])
@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/api/chat", TOO_SLOW),
        ("/v1/chat/completions", {"message": TOO_SLOW, "type": "api_error", "param": None, "code": None}),
    ],
)
async def test_a_body_that_does_not_arrive_is_an_error_of_its_api(
    edge: Edge, path: str, error: object, trickles: bool
) -> None:
    client = await edge.connect()
    await client.send(post(path, MEGABYTE), b'{"model": "')
    async with trickling(client) if trickles else contextlib.nullcontext():
        reply = await client.reply()
        assert (reply.status, json.loads(reply.body)["error"]) == (408, error)
        assert reply.headers["connection"] == "close"
        assert await client.rest() == b""
    await edge.all_closed()


async def test_a_compressed_body_that_does_not_arrive_is_an_error_of_its_api(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(post("/v1/completions", MEGABYTE, b"Content-Encoding: zstd\r\n"), b"a")
    reply = await client.reply()
    assert reply.status == 408
    assert json.loads(reply.body)["error"]["message"] == TOO_SLOW


async def test_a_slow_body_has_the_time_that_it_needs(edge: Edge) -> None:
    client = await edge.connect()
    body = b'{"model": "nope", "prompt": "%b"}' % (b"a" * 10_000)
    await client.send(post("/api/generate", len(body)))
    for start in range(0, len(body), 1000):  # ten periods' worth of bytes in three periods
        await client.send(body[start : start + 1000])
        await asyncio.sleep(0.06)
    assert (await client.reply()).status == 404


@pytest.mark.parametrize("trickles", [False, True])
async def test_the_rest_of_a_body_that_is_answered_is_not_awaited_for_ever(edge: Edge, trickles: bool) -> None:
    client = await edge.connect()
    await client.send(post("/nothing/here", MEGABYTE))
    reply = await client.reply()
    assert (reply.status, reply.body) == (404, b"404 page not found")
    async with trickling(client) if trickles else contextlib.nullcontext():
        assert await client.rest() == b""
    await edge.all_closed()


async def test_a_body_that_is_answered_early_may_arrive_before_the_next_request(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(post("/nothing/here", 100_000))
    assert (await client.reply()).status == 404
    await client.send(b"a" * 100_000, GET, b"\r\n")
    assert (await client.reply()).status == 200


async def test_a_connection_that_rests_after_the_rest_of_a_body_is_closed(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(post("/nothing/here", 1))
    assert (await client.reply()).status == 404
    await client.send(b"a")
    assert await client.rest() == b""
    await edge.all_closed()


@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
async def test_a_whole_reply_that_nobody_reads_ends_with_its_connection(edge: Edge, connection: bytes) -> None:
    client = await edge.connect(NEVER_READ)
    await client.send(chat(stream=False, headers=connection))
    edge.world.push(await edge.world.running(), "x" * 20 * MEGABYTE, finished=STOP)
    await edge.all_closed()


async def test_a_stream_that_nobody_reads_ends_with_its_connection(edge: Edge) -> None:
    client = await edge.connect(NEVER_READ)
    with capture_logs() as lines:
        await client.send(chat(stream=True))
        edge.world.push(await edge.world.running(), *("x" * MEGABYTE for _ in range(20)), finished=STOP)
        await edge.all_closed()
        await edge.until(lambda: any(line["event"] == "request" for line in lines))


async def test_a_reply_that_is_read_slowly_arrives(edge: Edge) -> None:
    client = await edge.connect(NEVER_READ)
    await client.send(chat(stream=False, headers=b"Connection: close\r\n"))
    edge.world.push(await edge.world.running(), "x" * 20 * MEGABYTE, finished=STOP)
    size = 0
    for _ in range(60):  # five periods, in which it reads a small part
        size += len(await client.reader.read(1 << 14))
        await asyncio.sleep(0.02)
    assert size + len(await client.rest()) > 20 * MEGABYTE


PHASES = {
    "nothing": (b"", 0),
    "half a head": (GET, 0),
    "half a body": (post("/api/chat", 1000) + b"{", 0),
    "half a compressed body": (post("/v1/completions", 1000, b"Content-Encoding: zstd\r\n") + b"a", 0),
    "a running request": (chat(stream=False), 1),
    "a running stream": (chat(stream=True), 1),
}


@pytest.mark.parametrize("way", ["reset", "close", "half close"])
@pytest.mark.parametrize("phase", PHASES)
async def test_a_client_that_leaves_takes_its_descriptor_along(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch, phase: str, way: str
) -> None:
    monkeypatch.setenv("REMUDA_STALL_TIMEOUT", "1h")
    monkeypatch.setenv("REMUDA_IDLE_TIMEOUT", "1h")
    sent, running = PHASES[phase]
    async with edge_in(private_folder) as edge:
        client = await edge.connect()
        await client.send(sent)
        requests = [await edge.world.running() for _ in range(running)]
        await edge.until(lambda: edge.open_sockets() == 1)
        if way == "reset":
            client.close()
        elif way == "close":
            client.writer.close()
        else:
            client.writer.write_eof()
        await edge.all_closed()
        for request in requests:
            assert await edge.world.scheduler.cancelled.get() == request.request_id
        assert (await edge.world.client.get("/api/version")).status_code == 200
