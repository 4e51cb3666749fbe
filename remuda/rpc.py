"""gRPC between the processes: servers on private unix sockets with the health service, and channels to them."""

from collections.abc import Callable
from typing import Any, cast

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from remuda.endpoints import private_sockets, remove_socket

MAX_MESSAGE = 64 * (1 << 20)
"""Most bytes of one message. A prompt of a million tokens takes about 4 MB, a model's verbose metadata up to 20 MB."""

_UNLIMITED = (1 << 31) - 1
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    # A restarted peer is back within a second. gRPC's default waits up to two minutes before it tries again.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    # OLLAMA_MAX_QUEUE bounds the waiting requests and refuses the others with an error. gRPC's own bounds end calls as
    # CANCELLED: some beyond 1,000 calls that the server's loop has not accepted yet, all beyond 3,000.
    ("grpc.server.max_pending_requests", _UNLIMITED),
    ("grpc.server.max_pending_requests_hard_limit", _UNLIMITED),
)


def open_channel(target: str) -> grpc.aio.Channel:
    """A channel to another process of this instance. It reconnects by itself."""
    return grpc.aio.insecure_channel(target, options=_OPTIONS)


def open_blocking_channel(target: str) -> grpc.Channel:
    """A channel to another process for threads, which wait for its calls."""
    return grpc.insecure_channel(target, options=_OPTIONS)


async def start_server(target: str, register: Callable[[grpc.aio.Server], None]) -> grpc.aio.Server:
    """Serves on a unix socket (mode 0600) what `register` adds, and `grpc.health.v1` as SERVING."""
    server = grpc.aio.server(options=_OPTIONS)
    register(server)
    checks = cast(Any, health).aio.HealthServicer()  # the package ships no types
    cast(Any, health_pb2_grpc).add_HealthServicer_to_server(checks, server)
    remove_socket(target)
    with private_sockets():
        server.add_insecure_port(target)
        await server.start()
    await checks.set("", cast(Any, health_pb2).HealthCheckResponse.SERVING)
    return server
