"""Compressed request bodies, which Ollama accepts on a few routes (http-api 1.6)."""

import io
import sys

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import ErrorKind, GatewayError, invalid
from gateway.http.body import read_body
from gateway.http.body_budget import TOO_LARGE, BodyMemory, body_memory_of, body_threads_of
from gateway.http.dialect import ErrorDialect

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ROUTES = frozenset(f"/v1/{name}" for name in ("chat/completions", "completions", "embeddings", "responses", "messages"))
MAX_WINDOW_LOG = 23
"""A compressed body may refer back 8 MiB at most, as in Ollama: the decoder keeps that much."""
OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
_OLLAMA_REFUSES = (ErrorKind.INVALID, ErrorKind.TOO_LARGE)
PART = 1 << 20
"""Bytes decompressed at once."""


class CompressedBodies:
    """ASGI middleware: decompresses bodies in zstd. A body that does not decompress, or to more than `limit` bytes, is
    a 400 in `dialect`: as in Ollama, the same on all routes."""

    def __init__(self, app: ASGIApp, limit: int, dialect: ErrorDialect) -> None:
        self._app = app
        self._limit = limit
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_compressed(scope):
            await self._app(scope, receive, send)
            return
        memory = body_memory_of(scope)
        try:
            compressed = await read_body(Request(scope, receive), self._limit)
            body = await body_threads_of(scope).run(decompress, compressed, self._limit, memory)
        except GatewayError as error:
            if error.kind not in _OLLAMA_REFUSES:
                await self._app(scope, _failing(error), send)
                return
            refusal = Response(self._dialect.encode(error), 400, media_type=self._dialect.content_type)
            await refusal(scope, receive, send)
            return
        memory.clear()  # whoever reads `body` reserves it again
        await self._app(scope, _after(body, receive), send)


def decompress(compressed: bytes, limit: int, memory: BodyMemory) -> bytes:
    """All frames of a zstd body, reserved in `memory`. Raises GatewayError."""
    body = bytearray()
    try:
        with zstd.ZstdFile(io.BytesIO(compressed), options=OPTIONS) as reader:
            while part := reader.read(PART):
                memory.grow(len(part))
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


def _failing(error: GatewayError) -> Receive:
    """A `receive` that raises `error`, so that the route tells it in its dialect."""

    async def receive_nothing() -> Message:
        raise error

    return receive_nothing


def _after(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` first."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def receive_decompressed() -> Message:
        return messages.pop() if messages else await receive()

    return receive_decompressed
