"""What is started on a machine: one line per process."""

import os
from dataclasses import dataclass

from remuda.endpoints import RUN_DIR_VARIABLE, Endpoints


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep alive, and where it reports health."""

    name: str
    arguments: tuple[str, ...]
    """Of this Python interpreter."""
    health: str
    """gRPC target of its `grpc.health.v1`."""
    is_gateway: bool = False
    """Gateways inherit the listening socket and stop first, so that nobody is admitted to a house being shut."""


def programs(endpoints: Endpoints, gateways: int) -> list[Program]:
    """The processes of one instance."""
    return [
        Program("store", ("-m", "store"), endpoints.store),
        Program("scheduler", ("-m", "scheduler"), endpoints.scheduler),
        Program("host", ("-m", "workers.host"), endpoints.host),
        *(
            Program(f"gateway {index}", ("-m", "gateway", str(index)), endpoints.gateway(index), is_gateway=True)
            for index in range(gateways)
        ),
    ]


def child_environment(endpoints: Endpoints, listen_fd: int) -> dict[str, str]:
    """This process's environment and what children have to know."""
    return {
        "PYTHONWARNINGS": "ignore::UserWarning",  # of unreadable settings, which `remuda serve` has logged for all
        **os.environ,
        RUN_DIR_VARIABLE: str(endpoints.folder),
        "REMUDA_PARENT_PID": str(os.getpid()),
        "REMUDA_LISTEN_FD": str(listen_fd),
        # a folder named `store` in the directory the server was started from must not be imported
        "PYTHONSAFEPATH": "1",
    }
