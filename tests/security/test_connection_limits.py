"""What a client may send on a connection, and how many connections there may be."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from support.gateway_world import STOP
from support.http_edge import Client, Edge, edge_in

GET = b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b'{"model": "cria", "prompt": "hi", "stream": %b}'
FULL = {"error": "server busy, please try again.  maximum open connections exceeded"}


def generate(stream: bytes, headers: bytes = b"") -> bytes:
    body = BODY % stream
    head = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n" % (len(body), headers)
    return head + body


@pytest.fixture
async def edge(private_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Edge]:
    monkeypatch.setenv("REMUDA_MAX_HEADER", "20000")
    monkeypatch.setenv("REMUDA_MAX_PIPELINED", "4")
    async with edge_in(private_folder) as edge:
        yield edge


@pytest.fixture
async def small(private_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Edge]:
    """A server that has room for ten connections."""
    monkeypatch.setenv("REMUDA_MAX_CONNECTIONS", "10")
    async with edge_in(private_folder) as edge:
        yield edge


async def ask(client: Client) -> int:
    await client.send(GET, b"\r\n")
    return (await client.reply()).status


async def test_connections_beyond_the_limit_are_told_when_to_come_back(small: Edge) -> None:
    clients = [await small.connect() for _ in range(10)]
    assert [await ask(client) for client in clients] == [200] * 10
    refused = await small.connect()
    reply = await refused.reply()
    assert (reply.status, reply.headers["retry-after"], reply.headers["connection"]) == (503, "1", "close")
    assert json.loads(reply.body) == FULL
    assert await refused.rest() == b""
    clients[0].close()
    await small.until(lambda: small.open_sockets() < 11)
    await asyncio.sleep(0)
    assert [await ask(client) for client in clients[1:]] == [200] * 9
    refused.close()
    await small.until(lambda: small.open_sockets() == 9)
    assert await ask(await small.connect()) == 200


async def test_a_refused_connection_does_not_stay(small: Edge) -> None:
    for _ in range(10):
        assert await ask(await small.connect()) == 200
    for _ in range(5):
        await (await small.connect()).send(GET)
    await small.until(lambda: small.open_sockets() == 10)


async def test_each_of_a_crowd_has_an_answer(small: Edge) -> None:
    async def visit() -> int:
        client = await small.connect()
        await client.send(GET + b"Connection: close\r\n\r\n")
        return (await client.reply()).status

    statuses = await asyncio.gather(*(visit() for _ in range(300)))
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 10
    assert await visit() == 200


HEAD = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\n"
ENDLESS = {
    "a request line": (b"GET /", b"a"),
    "a header": (GET + b"X: ", b"a"),
    "blank lines before a request": (b"", b"\r\n"),
    "an extension of a chunk": (CHUNKED + b"1;", b"a"),
    "the size of a chunk": (CHUNKED, b"0"),
    "a trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", b"a"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n"),
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_surrounds_a_body_has_an_end(edge: Edge, what: str) -> None:
    client = await edge.connect()
    begin, more = ENDLESS[what]
    await client.send(begin)
    for _ in range(20):  # three times the limit, of which one may come with the head
        await client.send(more * (3000 // len(more)))
    assert (await client.rest()).startswith(b"HTTP/1.1 431 ")
    await edge.all_closed()


async def test_a_chunked_body_may_have_more_framing_than_a_head(edge: Edge) -> None:
    client = await edge.connect()
    body = b'{"model": "nope"%b}' % (b" " * 20_000)
    await client.send(CHUNKED, *(b"1;extension=of-a-chunk\r\n%c\r\n" % byte for byte in body), b"0\r\n\r\n")
    assert (await client.reply()).status == 404


async def test_a_request_has_no_more_headers_than_the_limit(edge: Edge) -> None:
    fitting, beyond = await edge.connect(), await edge.connect()
    await fitting.send(GET, b"X:\r\n" * 255, b"\r\n")
    assert (await fitting.reply()).status == 200
    await beyond.send(GET, b"X:\r\n" * 256, b"\r\n")
    assert (await beyond.reply()).status == 431
    assert await beyond.rest() == b""


async def test_a_trailer_is_no_header(edge: Edge) -> None:
    client = await edge.connect()
    trailers = b"Origin: http://evil.example\r\n" * 300
    await client.send(CHUNKED, b'11\r\n{"model": "nope"}\r\n0\r\n', trailers, b"\r\n", GET, b"\r\n")
    assert (await client.reply()).status == 404
    assert (await client.reply()).status == 200


SMUGGLED = [
    HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
    HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}G",
    HEAD + b"Content-Length: +2\r\n\r\n{}G",
    HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\nG",
    HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\nG",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
    HEAD + b"X: y\rContent-Length: 2\r\n\r\n{}",
]


@pytest.mark.parametrize("request_bytes", SMUGGLED)
async def test_a_request_whose_end_is_unclear_is_refused(edge: Edge, request_bytes: bytes) -> None:
    client = await edge.connect()
    await client.send(request_bytes)
    assert (await client.reply()).status == 400
    assert await client.rest() == b""


async def test_a_body_is_read_though_the_client_would_rather_have_another_protocol(edge: Edge) -> None:
    client = await edge.connect()
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    for _ in range(2):
        await client.send(generate(b"false", upgrade))
        edge.world.push(await edge.world.running(), "hello", finished=STOP)
        assert json.loads((await client.reply()).body)["response"] == "hello"


async def test_the_body_of_an_upgrade_is_no_request_of_its_own(edge: Edge) -> None:
    client = await edge.connect()
    inner = GET + b"\r\n"
    head = HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: %d\r\n\r\n" % len(inner)
    await client.send(head)
    await asyncio.sleep(0.05)  # until the server has read it
    await client.send(inner)
    assert (await client.reply()).status == 400
    await client.send(b"GET /nothing HTTP/1.1\r\n\r\n")
    assert (await client.reply()).status == 404


async def test_the_gateway_is_no_proxy(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await client.reply()).status == 405
    assert await client.rest() == b""


async def test_requests_that_wait_for_replies_are_bounded(edge: Edge) -> None:
    client = await edge.connect()
    await client.send((GET + b"\r\n") * 1000)
    for _ in range(4):
        reply = await client.reply()
        assert reply.status == 200
    assert await client.rest() == b""


async def test_few_requests_at_once_are_all_answered(edge: Edge) -> None:
    client = await edge.connect()
    for _ in range(3):
        await client.send((GET + b"\r\n") * 4)
        assert [(await client.reply()).status for _ in range(4)] == [200] * 4


async def test_a_second_request_does_not_hide_that_the_client_leaves(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(generate(b"false"))
    request = await edge.world.running()
    await client.send(GET, b"\r\n")
    await asyncio.sleep(0.05)  # until the server has read it
    client.close()
    async with asyncio.timeout(10):
        assert await edge.world.scheduler.cancelled.get() == request.request_id


async def test_rubbish_after_a_request_does_not_get_into_its_reply(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(generate(b"true"))
    request = await edge.world.running()
    edge.world.push(request, "first")
    await client.reader.readuntil(b"first")
    await client.send(b"\x00rubbish\r\n\r\n")
    await asyncio.sleep(0.05)  # until the server has read it
    edge.world.push(request, "last", finished=STOP)
    rest = await client.rest()
    assert b"last" in rest
    assert b"HTTP/1.1" not in rest
    assert rest.endswith(b"\r\n0\r\n\r\n")


async def test_a_refused_body_that_was_asked_about_ends_the_connection(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
    assert (await client.reply()).status == 413
    assert await client.rest() == b""


async def test_a_body_that_was_asked_about_is_called_for(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 17\r\n\r\n")
    assert (await client.reply()).status == 100
    await client.send(b'{"model": "nope"}')
    assert (await client.reply()).status == 404
    assert await ask(client) == 200


async def test_an_old_client_gets_its_reply_and_the_end_of_the_connection(edge: Edge) -> None:
    client = await edge.connect()
    await client.send(b"GET /api/version HTTP/1.0\r\n\r\n")
    assert (await client.reply()).status == 200
    assert await client.rest() == b""
