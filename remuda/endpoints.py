"""Where the processes of one instance meet: unix sockets in a private folder, one name for each."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RUN_DIR_VARIABLE = "REMUDA_INSTANCE_DIR"
"""Names the folder of this instance's sockets. The supervisor sets it for its children."""
LISTEN_VARIABLE = "REMUDA_LISTEN_FD"
"""Holds the descriptor of the listening socket, which all gateways share. The supervisor sets it for its children."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses inside an instance's folder (mode 0700; every socket 0600)."""

    folder: Path

    @classmethod
    def from_environment(cls) -> "Endpoints":
        return cls(Path(os.environ[RUN_DIR_VARIABLE]))

    @property
    def scheduler(self) -> str:
        """gRPC target of the scheduler."""
        return f"unix:{self.folder}/scheduler.grpc"

    @property
    def store(self) -> str:
        """gRPC target of the store."""
        return f"unix:{self.folder}/store.grpc"

    @property
    def host(self) -> str:
        """gRPC target of the worker host (health only)."""
        return f"unix:{self.folder}/host.grpc"

    def gateway(self, index: int) -> str:
        """gRPC target of a gateway: health, and the works that it keeps."""
        return f"unix:{self.folder}/gateway-{index}.grpc"

    @property
    def uplink(self) -> str:
        """ZeroMQ endpoint that the scheduler binds for hosts and workers."""
        return f"ipc://{self.folder}/scheduler.zmq"

    def tokens(self, index: int) -> str:
        """ZeroMQ endpoint that a gateway binds for token frames."""
        return f"ipc://{self.folder}/gateway-{index}.zmq"


def socket_path(address: str) -> Path:
    """The file of a gRPC target (`unix:/path`) or a ZeroMQ endpoint (`ipc:///path`)."""
    return Path(address.partition(":")[2].removeprefix("//"))


def remove_socket(address: str) -> None:
    """Removes the socket of a killed predecessor, so that a socket at this path belongs to a living process."""
    socket_path(address).unlink(missing_ok=True)


@contextmanager
def private_sockets() -> Generator[None]:
    """Gives sockets that are bound inside the block mode 0600 from their first moment."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
