"""Binds ZeroMQ sockets that only this user can connect to."""

from typing import Any

from remuda.endpoints import private_sockets


def bind_private(socket: Any, endpoint: str) -> None:
    """Binds a socket. A unix socket gets mode 0600."""
    with private_sockets():
        socket.bind(endpoint)
