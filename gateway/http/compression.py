"""Compressed request bodies, which Ollama takes on a few routes (http-api 1.6)."""

import asyncio
import io
import sys

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import NATIVE_JSON, GatewayError, invalid, native_error
from gateway.golang.json import encode
from gateway.http.body import TOO_LARGE, read_body

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROUTES = frozenset(f"/v1/{name}" for name in ("chat/completions", "completions", "embeddings", "responses", "messages"))
MAX_WINDOW_LOG = 23
"""A compressed body may look back 8 MiB at most, as in Ollama: the decoder keeps as much."""
OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
PART = 1 << 20
"""Bytes that are decompressed at once."""


class CompressedBodies:
    """ASGI middleware: bodies in zstd reach the application as they were. One that does not decompress, or to more than
    `limit` bytes, is a 400 in the shape of `/api`, as Ollama answers on all routes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_compressed(scope):
            await self._app(scope, receive, send)
            return
        try:
            compressed = await read_body(Request(scope, receive), self._limit)
            body = await asyncio.to_thread(decompress, compressed, self._limit)
        except GatewayError as error:
            await Response(encode(native_error(error)), 400, media_type=NATIVE_JSON)(scope, receive, send)
            return
        await self._app(scope, _after(body, receive), send)


def decompress(compressed: bytes, limit: int) -> bytes:
    """All frames of a zstd body. Raises GatewayError."""
    body = bytearray()
    try:
        with zstd.ZstdFile(io.BytesIO(compressed), options=OPTIONS) as reader:
            while part := reader.read(PART):
                body += part
                if len(body) > limit:
                    raise invalid(TOO_LARGE)
    except (zstd.ZstdError, EOFError):
        raise invalid("failed to decompress request body") from None
    return bytes(body)


def _is_compressed(scope: Scope) -> bool:
    if scope["method"] != "POST" or scope["path"] not in ROUTES:
        return False
    return Headers(scope=scope).get("content-encoding", "").strip().lower() == "zstd"


def _after(body: bytes, receive: Receive) -> Receive:
    """`receive` of an application that has not got its body yet."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def receive_decompressed() -> Message:
        return messages.pop() if messages else await receive()

    return receive_decompressed
