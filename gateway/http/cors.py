"""CORS: which web pages may call (http-api 1.4)."""

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.replies import send_empty

MAX_AGE_S = 43200
METHODS = "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"
_STAINLESS = (
    "arch",
    "async",
    "custom-poll-interval",
    "helper-method",
    "lang",
    "os",
    "package-version",
    "poll-helper",
    "retry-count",
    "runtime",
    "runtime-version",
    "timeout",
)
REQUEST_HEADERS = ",".join(
    [
        "Authorization",
        "Content-Type",
        "User-Agent",
        "Accept",
        "X-Requested-With",
        "OpenAI-Beta",
        *(f"x-stainless-{name}" for name in _STAINLESS),
    ]
)
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0")
_APP_ORIGINS = ("app://*", "file://*", "tauri://*", "vscode-webview://*", "vscode-file://*")
DEFAULT_ORIGINS = (
    *(f"{scheme}://{host}{port}" for host in _LOCAL_HOSTS for scheme in ("http", "https") for port in ("", ":*")),
    *_APP_ORIGINS,
)


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins that may call. An entry may have one `*`."""

    patterns: tuple[tuple[str, str | None], ...]
    """Beginning and end around the `*`; the end is None where there is no `*`."""
    any_origin: bool

    @classmethod
    def of(cls, configured: Iterable[str]) -> "Origins":
        """Ollama's defaults and the `configured` ones (OLLAMA_ORIGINS). Raises ValueError for an unusable entry."""
        entries = [entry.lower() for entry in (*configured, *DEFAULT_ORIGINS)]
        for entry in entries:
            if "*" not in entry and "://" not in entry:
                raise ValueError(f"OLLAMA_ORIGINS: {entry!r} has no scheme")
            if entry.count("*") > 1:
                raise ValueError(f"OLLAMA_ORIGINS: {entry!r} has more than one *")
        parts = [entry.partition("*") for entry in entries]
        return cls(tuple((head, tail if star else None) for head, star, tail in parts), "*" in entries)

    def allows(self, origin: str) -> bool:
        text = origin.lower()
        return self.any_origin or any(_matches(text, head, tail) for head, tail in self.patterns)


def _matches(origin: str, head: str, tail: str | None) -> bool:
    if tail is None:
        return origin == head
    return len(origin) >= len(head) + len(tail) and origin.startswith(head) and origin.endswith(tail)


class CrossOrigin:
    """ASGI middleware: refuses foreign origins, answers preflights, and marks replies to allowed ones."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin, host = headers.get("origin"), headers.get("host", "")
        if not origin or origin in (f"http://{host}", f"https://{host}"):
            await self._app(scope, receive, send)
        elif not self._origins.allows(origin):
            await send_empty(send, 403)
        elif scope["method"] == "OPTIONS":
            await send_empty(send, 204, [*self._marks(origin), *_PREFLIGHT])
        else:
            await self._app(scope, receive, self._marking(send, origin))

    def _marks(self, origin: str) -> list[tuple[bytes, bytes]]:
        if self._origins.any_origin:
            return [(b"access-control-allow-origin", b"*")]
        return [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]

    def _marking(self, send: Send, origin: str) -> Send:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._marks(origin)]
            await send(message)

        return marked


_PREFLIGHT = [
    (b"access-control-allow-methods", METHODS.encode()),
    (b"access-control-allow-headers", REQUEST_HEADERS.encode()),
    (b"access-control-max-age", str(MAX_AGE_S).encode()),
]
