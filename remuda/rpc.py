"""gRPC between the processes: servers on private unix sockets with the health service, and channels to them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

MAX_MESSAGE = 64 * (1 << 20)
"""Bytes of one message: a prompt of a million tokens takes about 4 MB, verbose metadata of a model up to 20 MB."""

_UNLIMITED = (1 << 31) - 1
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    # a peer on a unix socket is back within a second of its restart; gRPC's default waits up to two minutes
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    # OLLAMA_MAX_QUEUE bounds what waits, and tells those whom it refuses. gRPC's own bounds end calls as CANCELLED:
    # some beyond 1,000 that the server's loop has not taken yet, all beyond 3,000
    ("grpc.server.max_pending_requests", _UNLIMITED),
    ("grpc.server.max_pending_requests_hard_limit", _UNLIMITED),
)


def open_channel(target: str) -> grpc.aio.Channel:
    """A channel to another process of this instance. It reconnects by itself."""
    return grpc.aio.insecure_channel(target, options=_OPTIONS)


async def start_server(target: str, register: Callable[[grpc.aio.Server], None]) -> grpc.aio.Server:
    """Serves on a unix socket (mode 0600) what `register` adds, and `grpc.health.v1` as SERVING."""
    server = grpc.aio.server(options=_OPTIONS)
    register(server)
    checks = cast(Any, health).aio.HealthServicer()  # the package ships no types
    cast(Any, health_pb2_grpc).add_HealthServicer_to_server(checks, server)
    _remove_socket(target)
    before = os.umask(0o177)
    try:
        server.add_insecure_port(target)
        await server.start()
    finally:
        os.umask(before)
    await checks.set("", cast(Any, health_pb2).HealthCheckResponse.SERVING)
    return server


def _remove_socket(target: str) -> None:
    """A predecessor that was killed leaves its socket behind."""
    Path(target.removeprefix("unix:")).unlink(missing_ok=True)
