"""`remuda serve`."""

import os

from remuda.cli.errors import CommandError
from remuda.logs import get_logger
from remuda.process import begin_process
from remuda.settings import read_settings
from remuda.supervisor.errors import StartError


def serve() -> None:
    """Runs the server in the foreground until it is told to stop. Raises CommandError when it cannot start."""
    # read by gRPC when it is imported, here and in all children: it would tell of every closed connection
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from remuda.supervisor.supervisor import serve as supervise

    settings, complaints = read_settings()
    begin_process("serve", settings)
    for complaint in complaints:
        get_logger().warning(complaint)
    try:
        supervise(settings)
    except StartError as error:
        raise CommandError(str(error)) from error
