"""Settings of the supervisor and of the other subcommands of `remuda`."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field

from remuda.durations import NANOSECONDS
from remuda.settings.types import Folder, LenientSettings, Period, Positive


class SupervisorSettings(LenientSettings):
    """The supervisor (`remuda serve`) and the other subcommands read these."""

    gateways: Annotated[Positive, Field(validation_alias="REMUDA_GATEWAYS")] = 1
    """Gateway processes that share the listening socket. One carries about 10,000 streamed tokens a second."""
    run_dir: Annotated[Folder, Field(validation_alias="REMUDA_RUN_DIR")] = (
        Path(tempfile.gettempdir()) / f"remuda-{os.getuid()}"
    )
    """Parent of the private folder (mode 0700) that holds an instance's sockets."""
    health_interval_ns: Annotated[Period, Field(validation_alias="REMUDA_HEALTH_INTERVAL")] = 20 * NANOSECONDS["ms"]
    """Time between two looks for the socket of a starting process."""
    restart_backoff_ns: Annotated[Period, Field(validation_alias="REMUDA_RESTART_BACKOFF")] = 50 * NANOSECONDS["ms"]
    """Pause before a dead process is restarted. Each further death doubles it."""
    restart_backoff_max_ns: Annotated[Period, Field(validation_alias="REMUDA_RESTART_BACKOFF_MAX")] = (
        5 * NANOSECONDS["s"]
    )
    """The longest pause before a restart."""
    restart_reset_ns: Annotated[Period, Field(validation_alias="REMUDA_RESTART_RESET")] = 30 * NANOSECONDS["s"]
    """A process that lived this long is restarted after the shortest pause again."""
    client_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_CLIENT_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long the `remuda` command waits for a connection to the server. Answers may take as long as they need."""
