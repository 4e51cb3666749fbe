"""`remuda serve`."""

import os

from remuda.cli.errors import CommandError
from remuda.logs import get_logger
from remuda.process import begin_process
from remuda.settings import read_settings
from remuda.supervisor.errors import StartError


def serve() -> None:
    """Runs the server in the foreground until a signal stops it. Raises CommandError if it cannot start."""
    # gRPC reads this when it is imported, here and in all children. By default it logs every closed connection.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from remuda.supervisor.supervisor import serve as supervise

    settings, warnings = read_settings()
    begin_process("serve", settings)
    for warning in warnings:
        get_logger().warning(warning)
    try:
        supervise(settings)
    except StartError as error:
        raise CommandError(str(error)) from error
