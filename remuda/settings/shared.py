"""Settings that several processes read."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from remuda.durations import NANOSECONDS
from remuda.listen_address import ListenAddress
from remuda.settings.types import (
    MAX_INT,
    Digits,
    Folder,
    Host,
    LenientSettings,
    Level,
    Period,
    PositiveInt32,
    Word,
)


class SharedSettings(LenientSettings):
    """Several processes read these."""

    host: Annotated[Host, Field(validation_alias="OLLAMA_HOST")] = "127.0.0.1:11434"
    """Where the server listens and where the command finds it: host, host:port, an IPv6 address or a URL. An empty host
    (`:11434`) means all addresses."""
    models: Annotated[Folder, Field(validation_alias="OLLAMA_MODELS")] = Path.home() / ".ollama" / "models"
    """The models folder, in Ollama's layout."""
    debug: Annotated[Level, Field(validation_alias="OLLAMA_DEBUG")] = 0
    """1 gives debug logs, 2 gives more, negative numbers give fewer."""
    log_format: Annotated[Literal["auto", "console", "json"], Word, Field(validation_alias="REMUDA_LOG_FORMAT")] = (
        "auto"
    )
    """`auto` (readable on a terminal, JSON otherwise), `console` or `json`."""
    start_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_START_TIMEOUT")] = 30 * NANOSECONDS["s"]
    """How long a process may take to report health. A start takes a second, and longer from a cold disk."""
    stop_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_STOP_TIMEOUT")] = 4 * NANOSECONDS["s"]
    """How long the processes may take to stop before they are killed. Operators are promised five seconds in all."""
    device_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_DEVICE_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long the start, and a gateway's first default context, wait for the worker host to report its devices."""
    listen_backlog: Annotated[PositiveInt32, Field(validation_alias="REMUDA_LISTEN_BACKLOG")] = 4096
    """Connections that wait while no gateway accepts, as during a restart. The kernel may cap it (somaxconn)."""
    kv_cells: Annotated[
        Literal[0] | Annotated[int, Field(ge=256, le=MAX_INT)], Digits, Field(validation_alias="REMUDA_KV_CELLS")
    ] = 0
    """Tokens that the KV cache of a replica holds, shared by its slots; 0 = num_ctx for each slot. A single request
    gets no larger context, whatever its num_ctx. Fewer cells save memory where few requests use their whole context.
    When the cells run out, the youngest request waits until others end. Every token attends over all cells in use,
    which costs time where many long requests run at once."""
    embedding_batch: Annotated[PositiveInt32, Field(validation_alias="REMUDA_EMBEDDING_BATCH")] = 2048
    """Most tokens of one input of an embedding model, where the request names no num_batch. Such models compute an
    input in one piece, and the memory for that grows with it. The default is Ollama's."""

    @property
    def address(self) -> ListenAddress:
        return ListenAddress.parse(self.host)
