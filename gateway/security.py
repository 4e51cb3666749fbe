"""Who may call from a browser: CORS (http-api 1.4) and the Host check against DNS rebinding (1.5)."""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins that may call; an entry may have one `*`."""

    patterns: tuple[tuple[str, str | None], ...]
    """Beginning and end around the `*`; the end is None where there is no `*`."""
    any_origin: bool

    @classmethod
    def of(cls, configured: Iterable[str]) -> "Origins":
        """`configured` (OLLAMA_ORIGINS) and Ollama's defaults. Raises ValueError for an entry that can be no origin."""
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
    """ASGI middleware: refuses foreign origins, answers preflights, marks what is allowed."""

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


class HostCheck:
    """ASGI middleware: a browser that was lured to a foreign name for this address gets 403."""

    def __init__(self, app: ASGIApp, listening: str) -> None:
        """`listening`: the host of OLLAMA_HOST; the check is for servers on the loopback address alone."""
        self._app = app
        self._active = is_loopback(listening)
        self._names = {"", "localhost", socket.gethostname().lower()}
        self._addresses = own_addresses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._active:
            await self._app(scope, receive, send)
            return
        host = host_name(Headers(scope=scope).get("host", ""))
        by_name = host in self._names or host.endswith(_LOCAL_SUFFIXES)
        if not by_name and not self._is_local_address(host):
            await send_empty(send, 403)
        elif by_name and scope["method"] == "OPTIONS":
            await send_empty(send, 204)
        else:
            await self._app(scope, receive, send)

    def _is_local_address(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or address.is_private or address.is_unspecified or host in self._addresses


def is_loopback(host: str) -> bool:
    """Whether a server bound to `host` is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def host_name(header: str) -> str:
    """The Host header without its port and brackets, in lower case."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    name, colon, port = header.rpartition(":")
    return (name if colon and port.isdigit() and ":" not in name else header).lower()


def own_addresses() -> frozenset[str]:
    """The addresses of this machine's interfaces."""
    families = (socket.AF_INET, socket.AF_INET6)
    interfaces = psutil.net_if_addrs().values()
    return frozenset(a.address.partition("%")[0] for entry in interfaces for a in entry if a.family in families)


async def send_empty(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """A reply without a body."""
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
