"""Compressed request bodies, which Ollama takes on a few routes (http-api 1.6)."""

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.encoding import encode
from gateway.errors import NATIVE_JSON, native_error, not_implemented

ROUTES = frozenset(f"/v1/{name}" for name in ("chat/completions", "completions", "embeddings", "responses", "messages"))


class CompressedBodies:
    """ASGI middleware: a body in zstd is refused with 501, in the shape of `/api` as all errors of decompression."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = _refusal() if scope["type"] == "http" and _is_compressed(scope) else self._app
        await app(scope, receive, send)


def _is_compressed(scope: Scope) -> bool:
    if scope["method"] != "POST" or scope["path"] not in ROUTES:
        return False
    return Headers(scope=scope).get("content-encoding", "").strip().lower() == "zstd"


def _refusal() -> Response:
    error = not_implemented("request bodies compressed with zstd are")
    return Response(encode(native_error(error)), error.status, media_type=NATIVE_JSON)
