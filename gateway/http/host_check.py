"""The check of the Host header against DNS rebinding (http-api 1.5)."""

import ipaddress
import socket

import psutil
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.replies import send_empty

_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")


class HostCheck:
    """ASGI middleware: answers 403 to a browser that a foreign name has led to this address."""

    def __init__(self, app: ASGIApp, listening: str) -> None:
        """`listening` is the host of OLLAMA_HOST. Only servers on the loopback address check."""
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
