"""The processes of one machine, one line for each, and the environment they get."""

import os
from dataclasses import dataclass

from remuda.endpoints import LISTEN_VARIABLE, RUN_DIR_VARIABLE, Endpoints
from remuda.process import PARENT_VARIABLE


@dataclass(frozen=True, slots=True)
class Program:
    """A process that the supervisor keeps alive."""

    name: str
    arguments: tuple[str, ...]
    """Command line arguments of this Python interpreter."""
    health: str
    """gRPC target where the process serves `grpc.health.v1`."""
    is_gateway: bool = False
    """Gateways inherit the listening socket. They stop first, so that no request enters a server that stops."""


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
    """This process's environment with the variables of children added."""
    return {
        "PYTHONWARNINGS": "ignore::UserWarning",  # `remuda serve` has logged unusable settings for all
        **os.environ,
        RUN_DIR_VARIABLE: str(endpoints.folder),
        PARENT_VARIABLE: str(os.getpid()),
        LISTEN_VARIABLE: str(listen_fd),
        # Otherwise Python would import a folder named `store` from the current directory.
        "PYTHONSAFEPATH": "1",
    }
