"""The check of the Host header against DNS rebinding: a page that makes its own name lead to this server becomes its
same origin, and CORS lets it through. On loopback the rule is Ollama's (http-api 1.5); on a network Ollama has none."""

import ipaddress
import socket
from collections.abc import Collection

import psutil
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import forbidden
from gateway.http.dialect import ErrorDialect
from gateway.http.replies import send_empty

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
"""Ends of names that no foreign page can have."""
_REFUSED = "this server is not known by that host name: its operator can add the name to REMUDA_ALLOWED_HOSTS"


class HostCheck:
    """ASGI middleware: answers 403 to a browser that a foreign name has led to this address."""

    def __init__(self, app: ASGIApp, listening: str, allowed: Collection[str], dialect: ErrorDialect) -> None:
        """`listening` is the host of OLLAMA_HOST. `allowed` are further names of this server, whose clients may then
        use no other name. `dialect` tells the error."""
        self._app = app
        self._is_on_loopback = is_loopback(listening)
        self._is_strict = bool(allowed)
        self._names = {"", "localhost", socket.gethostname().lower(), *map(str.lower, allowed)}
        self._addresses = own_addresses()
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = host_name(headers.get("host", ""))
        is_own_name = host in self._names or host.endswith(_LOCAL_SUFFIXES)
        if not self._is_on_loopback:
            if is_own_name or _address(host) or not (self._is_strict or is_browser(headers)):
                await self._app(scope, receive, send)
            else:
                await self._dialect.response(forbidden(_REFUSED))(scope, receive, send)
        elif not is_own_name and not self._is_local_address(host):
            await send_empty(send, 403)
        elif is_own_name and scope["method"] == "OPTIONS":
            await send_empty(send, 204)
        else:
            await self._app(scope, receive, send)

    def _is_local_address(self, host: str) -> bool:
        address = _address(host)
        if address is None:
            return False
        return address.is_loopback or address.is_private or address.is_unspecified or host in self._addresses


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_browser(headers: Headers) -> bool:
    """Whether a request bears what browsers add to it, and other clients do not."""
    return any(name == "origin" or name.startswith("sec-fetch-") for name in headers)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
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
