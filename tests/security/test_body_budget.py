"""All request bodies of a gateway share one budget of memory, also what is decompressed and parsed from them."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from support.gateway_world import STOP
from support.http_edge import Client, Edge, edge_in
from support.serving import DEADLINE

from gateway.errors import QUEUE_FULL
from gateway.http import body as body_module

BUDGET = 200_000
FULL = "server busy, please try again.  the bodies of other requests take all memory there is for them"
ZSTD = b"Content-Encoding: zstd\r\n"


@pytest.fixture
async def edge(private_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Edge]:
    monkeypatch.setenv("REMUDA_MAX_BODIES", str(BUDGET))
    monkeypatch.setenv("REMUDA_MAX_BODY", str(10 * BUDGET))
    async with edge_in(private_folder) as edge:
        yield edge


def post(path: str, length: int, headers: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n" % (path.encode(), length, headers)


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "cria", "prompt": "hi", "stream": False} | fields).encode()


async def hold(edge: Edge, size: int) -> Client:
    """A client that has sent `size` bytes of its body, all of which have arrived."""
    client = await edge.connect()
    await client.send(post("/api/generate", BUDGET - 1, b"Expect: 100-continue\r\n"))
    assert (await client.reply()).status == 100
    await client.send(b" " * size)
    return client


async def status_of(edge: Edge, path: str, content: bytes, headers: bytes = b"") -> tuple[int, Any]:
    client = await edge.connect()
    await client.send(post(path, len(content), headers), content)
    reply = await client.reply()
    if reply.status == 503:
        assert reply.headers["retry-after"] == "1"
    return reply.status, json.loads(reply.body)["error"]


async def until_tenth_gets(edge: Edge, status: int) -> None:
    """Waits until a body of a tenth of the budget gets `status`: what was sent before has arrived, or is released."""
    content = body(model="nope", rest="a" * (BUDGET // 10))
    async with asyncio.timeout(DEADLINE):
        while (await status_of(edge, "/api/generate", content))[0] != status:  # noqa: ASYNC110 (it depends on the kernel)
            await asyncio.sleep(0.01)


async def test_a_body_beyond_the_budget_is_told_to_come_back_in_its_dialect(edge: Edge) -> None:
    holder = await hold(edge, BUDGET - 10_000)
    await until_tenth_gets(edge, 503)
    content = body(prompt="a" * 20_000)
    assert await status_of(edge, "/api/generate", content) == (503, FULL)
    status, error = await status_of(edge, "/v1/completions", content)
    assert (status, error["message"]) == (503, FULL)
    assert (await status_of(edge, "/api/generate", b'{"model": "nope"}'))[0] == 404
    holder.close()
    await until_tenth_gets(edge, 404)


async def test_a_body_counts_until_its_request_has_ended(edge: Edge) -> None:
    client = await edge.connect()
    content = body(rest="a" * (BUDGET - 10_000))
    await client.send(post("/api/generate", len(content)), content)
    request = await edge.world.running()
    assert (await status_of(edge, "/api/generate", body(model="nope", rest="a" * 20_000)))[0] == 503
    edge.world.push(request, "hello", finished=STOP)
    assert (await client.reply()).status == 200
    assert (await status_of(edge, "/api/generate", body(model="nope", rest="a" * 20_000)))[0] == 404


async def test_a_body_that_nobody_could_hold_is_too_large(edge: Edge) -> None:
    assert await status_of(edge, "/api/generate", b" " * (BUDGET + 1)) == (413, "http: request body too large")


@pytest.mark.parametrize("piece", [b"[],", b'{"":1},', b'"ab",', b"[[[]]],"])
async def test_the_values_in_a_body_count_as_what_they_take(edge: Edge, piece: bytes) -> None:
    content = b'{"model": "nope", "rest": [%b0]}' % (piece * 3000)
    assert len(content) < BUDGET / 5
    assert (await status_of(edge, "/api/generate", content))[0] == 413


async def test_what_is_decompressed_counts(edge: Edge) -> None:
    compressed = zstd.compress(body(model="nope", rest="a" * BUDGET))
    status, error = await status_of(edge, "/v1/completions", compressed, ZSTD)
    assert (status, error) == (400, "http: request body too large")
    await hold(edge, BUDGET - 10_000)
    await until_tenth_gets(edge, 503)
    compressed = zstd.compress(body(model="nope", rest="a" * 20_000))
    status, error = await status_of(edge, "/v1/completions", compressed, ZSTD)
    assert (status, error["message"]) == (503, FULL)


async def test_a_compressed_body_counts_once(edge: Edge) -> None:
    for _ in range(5):
        compressed = zstd.compress(body(model="nope", rest="a" * (BUDGET * 9 // 10)))
        assert (await status_of(edge, "/v1/completions", compressed, ZSTD))[0] == 404


async def test_long_bodies_share_a_few_threads_and_a_short_queue(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMUDA_BLOCKING_THREADS", "1")
    monkeypatch.setenv("REMUDA_BLOCKING_QUEUE", "0")
    begun, gate = threading.Event(), threading.Event()
    parse = body_module.parse_object

    def parse_at_last(*arguments: Any, **options: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            gate.wait(2 * DEADLINE)
        return parse(*arguments, **options)

    monkeypatch.setattr(body_module, "parse_object", parse_at_last)
    async with edge_in(private_folder) as edge:
        content = body(model="nope", rest="a" * (body_module.LARGE + 1))
        parsed = asyncio.create_task(status_of(edge, "/api/generate", content))
        try:
            await edge.until(begun.is_set)
            assert await status_of(edge, "/api/generate", content) == (503, QUEUE_FULL)
            status, error = await status_of(edge, "/v1/completions", zstd.compress(body()), ZSTD)
            assert (status, error["message"]) == (503, QUEUE_FULL)
            assert (await status_of(edge, "/api/generate", body(model="nope")))[0] == 404
        finally:
            gate.set()
        assert (await parsed)[0] == 404


async def test_a_body_that_is_declared_too_long_is_refused_before_it_is_read(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(post("/api/generate", 10 * BUDGET + 1))
    reply = await client.reply()
    assert (reply.status, reply.body) == (413, b'{"error":"http: request body too large"}')
