"""What hostile and broken clients do. Each attack is one client; none may cost anybody else anything."""

import asyncio
import json
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

HOST = "127.0.0.1"
PATIENCE_S = 60.0
"""How long an attacker waits for its answer."""
IDLE_S = 5.0
"""How long one that stalls holds its connection."""
BURST = 200

Attack: TypeAlias = Callable[[int], Awaitable[None]]

CHAT, GENERATE = "/api/chat", "/api/generate"
USER = {"role": "user", "content": "hi"}


def body_of(fields: Mapping[str, Any]) -> bytes:
    """A request to the embedded model for one token."""
    return json.dumps({"model": "cria", "stream": False, "options": {"num_predict": 1}, **fields}).encode()


def head_of(path: str, length: int, extra: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{extra}Content-Length: {length}\r\n\r\n".encode()
    )


async def post(port: int, path: str, body: bytes, extra: str = "") -> None:
    """Sends a request and reads its answer to the end."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(head_of(path, len(body), extra) + body)
            await writer.drain()
            await reader.read()
        finally:
            writer.close()


def posting(path: str, **fields: Any) -> Attack:
    """An attack by what a request says."""
    body = body_of(fields)

    async def attack(port: int) -> None:
        await post(port, path, body)

    return attack


async def endless_head(port: int) -> None:
    _, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    for _ in range(64):
        writer.write(b"x" * 65536)
        await writer.drain()
    writer.close()


async def stalling_head(port: int) -> None:
    _, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"POST /api/chat HTTP/1.1\r\nHost: a\r\n")
    await asyncio.sleep(IDLE_S)
    writer.close()


async def stalling_body(port: int) -> None:
    _, writer = await asyncio.open_connection(HOST, port)
    writer.write(head_of(CHAT, 1 << 20) + b'{"model": "cria", ')
    await asyncio.sleep(IDLE_S)
    writer.close()


async def deaf_reader(port: int) -> None:
    """Asks for a long stream and reads nothing of it."""
    body = body_of({"messages": [USER], "stream": True, "options": {"num_predict": 64}})
    _, writer = await asyncio.open_connection(HOST, port, limit=1024)
    writer.write(head_of(CHAT, len(body)) + body)
    await asyncio.sleep(IDLE_S)
    writer.transport.abort()


async def leaver(port: int) -> None:
    """Leaves in the midst of its request, by a reset."""
    body = body_of({"messages": [USER], "stream": True, "options": {"num_predict": 64}})
    _, writer = await asyncio.open_connection(HOST, port)
    writer.write(head_of(CHAT, len(body)) + body)
    await asyncio.sleep(random.random() / 5)
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def half_closer(port: int) -> None:
    body = body_of({"messages": [USER]})
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(head_of(CHAT, len(body)) + body[: len(body) // 2])
    writer.write_eof()
    async with asyncio.timeout(PATIENCE_S):
        await reader.read()
    writer.close()


async def garbage(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(random.randbytes(4096))
    async with asyncio.timeout(PATIENCE_S):
        await reader.read()
    writer.close()


async def crowd(port: int) -> None:
    await asyncio.gather(*(post(port, "/api/show", b'{"model": "cria"}') for _ in range(BURST)))


async def unknown_model(port: int) -> None:
    await post(port, CHAT, body_of({"model": f"none{random.random()}", "messages": [USER]}))


def _nested(depth: int) -> bytes:
    return b'{"model": "cria", "messages": [], "format": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


async def nested(port: int) -> None:
    await post(port, CHAT, _nested(50_000))


RANGES = "{{ range .Messages }}{{ range $.Messages }}{{ range $.Messages }}{{ end }}{{ end }}{{ end }}"
CALLS = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in range(2000)]
RESULTS = [{"role": "tool", "content": "1", "tool_call_id": f"c{n}"} for n in range(2000)]
PATTERNS = [{"type": "string", "pattern": f".*{chr(97 + n)}{chr(65 + n)}...."} for n in range(24)]

ATTACKS: dict[str, Attack] = {
    "a word without end": posting(GENERATE, prompt="a" * 300_000, raw=True),
    "a constant without end": posting(CHAT, messages=[USER], format={"const": "a" * 100_000}),
    "patterns that never join": posting(CHAT, messages=[USER], format={"allOf": PATTERNS}),
    "a template of loops": posting(GENERATE, prompt="x", template=RANGES * 20),
    "a million wrong entries": posting(CHAT, messages=[1] * 300_000),
    "20,000 messages": posting(CHAT, messages=[USER] * 20_000),
    "results of 2,000 calls": posting(
        "/v1/chat/completions", messages=[{"role": "assistant", "content": "", "tool_calls": CALLS}, *RESULTS, USER]
    ),
    "<think> × 5,000": posting(CHAT, messages=[{"role": "assistant", "content": "<think>" * 5000}, USER]),
    "127 stop strings": posting(
        GENERATE, prompt="x", options={"stop": [f"{n:030}" for n in range(127)], "num_predict": 8}
    ),
    "an image that is none": posting(CHAT, messages=[{**USER, "images": ["A" * 4_000_000]}]),
    "2,000 texts to embed": posting("/api/embed", input=["x" * 3000] * 200),
    "a body without end": posting(CHAT, messages=[{"role": "user", "content": "word " * 1_000_000}]),
    "an endless head": endless_head,
    "half a head": stalling_head,
    "half a body": stalling_body,
    "a stream unread": deaf_reader,
    "a client that leaves": leaver,
    "a client that half closes": half_closer,
    "garbage": garbage,
    "a crowd of 200": crowd,
    "a model that is none": unknown_model,
    "brackets 50,000 deep": nested,
}
