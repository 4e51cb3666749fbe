"""Binding ZeroMQ sockets so that nobody but this user can connect."""

import os
from typing import Any


def bind_private(socket: Any, endpoint: str) -> None:
    """Binds a socket; a unix socket gets mode 0600 from its first moment."""
    before = os.umask(0o177)
    try:
        socket.bind(endpoint)
    finally:
        os.umask(before)
