"""Every environment variable that Remuda reads, with its default and the reason for it.

`OLLAMA_*` names keep Ollama's meaning and reading rules: values are trimmed and may be quoted, an unreadable number
falls back to the default with a warning, an unreadable boolean counts as true. `docs/settings.md` is made from this
file.
"""

import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from remuda.durations import NANOSECONDS, parse_duration

GIB = 1 << 30
FALSE_WORDS = frozenset({"0", "f", "false"})
EMBEDDED_MODEL = str(Path(__file__).resolve().parent.parent / "models" / "cria.gguf")


class InvalidSetting(UserWarning):
    """A variable had no readable value; its default holds."""


def _reader(read: Callable[[str], Any]) -> BeforeValidator:
    """Reads a variable's text with `read`; text that `read` refuses gives the field's default and a warning."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        default = Settings.model_fields[info.field_name or ""].get_default(call_default_factory=True)
        text = value.strip().strip("\"'").strip()
        if not text:
            return default
        try:
            return read(text)
        except ValueError:
            warnings.warn(f"{info.field_name} has no readable value {text!r}: {default!r} is used", InvalidSetting, 2)
            return default

    return BeforeValidator(validate)


def _unsigned(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _duration(text: str) -> int:
    try:
        return int(text) * NANOSECONDS["s"]
    except ValueError:
        return parse_duration(text)


def _level(text: str) -> int:
    """OLLAMA_DEBUG: 1 or true is debug, 2 is trace, negative numbers raise the threshold."""
    try:
        return int(text)
    except ValueError:
        return int(text.lower() not in FALSE_WORDS)


Flag = Annotated[bool, _reader(lambda text: text.lower() not in FALSE_WORDS)]
OptionalFlag = Annotated[bool | None, _reader(lambda text: text.lower() not in FALSE_WORDS)]
Unsigned = Annotated[int, _reader(_unsigned)]
Nanoseconds = Annotated[int, _reader(_duration)]
Level = Annotated[int, _reader(_level)]
Text = Annotated[str, _reader(str)]
Folder = Annotated[Path, _reader(lambda text: Path(text).expanduser())]
CommaList = Annotated[
    tuple[str, ...], _reader(lambda text: tuple(part.strip() for part in text.split(",") if part.strip()))
]


class ListenAddress(BaseModel):
    """Where the gateway listens, or where a client finds it (Ollama's `OLLAMA_HOST`)."""

    scheme: str = "http"
    host: str = "127.0.0.1"
    port: int = 11434
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "ListenAddress":
        """Accepts a host, host:port, an IPv6 address or a URL; an invalid port gives the scheme's default."""
        scheme, separator, rest = text.partition("://")
        if not separator:
            scheme, rest = ("https" if text == "ollama.com" else "http"), text
        default_port = {"http": 80, "https": 443}.get(scheme, 11434) if separator or text == "ollama.com" else 11434
        authority, _, path = rest.partition("/")
        if authority.count(":") > 1 and not authority.startswith("["):
            authority = f"[{authority}]"
        parts = urlsplit(f"//{authority}")
        try:
            port = parts.port if parts.port is not None else default_port
        except ValueError:
            port = default_port
        host = parts.hostname if parts.hostname is not None else ("" if authority.startswith(":") else "127.0.0.1")
        return cls(scheme=scheme, host=host, port=port, path=f"/{path.rstrip('/')}" if path else "")

    @property
    def authority(self) -> str:
        """host:port, with IPv6 addresses in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def client_url(self) -> str:
        """The URL a client on this machine uses: wildcard addresses become the loopback address."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(
            self.host, self.authority.rpartition(":")[0]
        )
        return f"{self.scheme}://{host}:{self.port}{self.path}"


class Settings(BaseSettings):
    """One process's view of the environment. Sizes are bytes, durations nanoseconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, enable_decoding=False)

    # ---- Ollama's variables ----
    host: Annotated[str, _reader(str), Field(validation_alias="OLLAMA_HOST")] = "127.0.0.1:11434"
    models: Annotated[Folder, Field(validation_alias="OLLAMA_MODELS")] = Path.home() / ".ollama" / "models"
    keep_alive_ns: Annotated[Nanoseconds, Field(validation_alias="OLLAMA_KEEP_ALIVE")] = 300 * NANOSECONDS["s"]
    load_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="OLLAMA_LOAD_TIMEOUT")] = 300 * NANOSECONDS["s"]
    context_length: Annotated[Unsigned, Field(validation_alias="OLLAMA_CONTEXT_LENGTH")] = 0
    """Default num_ctx in tokens; 0 = by the devices' memory (4096, 32768 or 262144)."""
    num_parallel: Annotated[Unsigned, Field(validation_alias="OLLAMA_NUM_PARALLEL")] = 4
    """Slots of a replica. Ollama's default is 1; continuous batching makes further slots nearly free in time, and
    four contexts are what a small card still holds."""
    max_loaded_models: Annotated[Unsigned, Field(validation_alias="OLLAMA_MAX_LOADED_MODELS")] = 0
    """Resident models at most; 0 = three per GPU, three on a machine without one."""
    max_queue: Annotated[Unsigned, Field(validation_alias="OLLAMA_MAX_QUEUE")] = 512
    """Requests waiting for a slot or a load, over all models. One more is refused with 503."""
    flash_attention: Annotated[OptionalFlag, Field(validation_alias="OLLAMA_FLASH_ATTENTION")] = None
    kv_cache_type: Annotated[Text, Field(validation_alias="OLLAMA_KV_CACHE_TYPE")] = "f16"
    origins: Annotated[CommaList, Field(validation_alias="OLLAMA_ORIGINS")] = ()
    debug: Annotated[Level, Field(validation_alias="OLLAMA_DEBUG")] = 0
    go_template: Annotated[OptionalFlag, Field(validation_alias="OLLAMA_GO_TEMPLATE")] = None
    no_cloud: Annotated[Flag, Field(validation_alias="OLLAMA_NO_CLOUD")] = False

    # ---- Remuda's own ----
    gateways: Annotated[Unsigned, Field(validation_alias="REMUDA_GATEWAYS")] = 1
    """Gateway processes sharing the listening socket. One carries about 10,000 streamed tokens a second."""
    run_dir: Annotated[Folder, Field(validation_alias="REMUDA_RUN_DIR")] = (
        Path(tempfile.gettempdir()) / f"remuda-{os.getuid()}"
    )
    """Parent of the private folder (mode 0700) that holds an instance's sockets."""
    log_format: Annotated[Text, Field(validation_alias="REMUDA_LOG_FORMAT")] = "auto"
    """`auto` (readable on a terminal, JSON otherwise), `console` or `json`."""
    stop_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_STOP_TIMEOUT")] = 4 * NANOSECONDS["s"]
    """How long a process may take to stop before it is killed; five seconds is what operators are promised for all."""
    start_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_START_TIMEOUT")] = 30 * NANOSECONDS["s"]
    """How long a process may take to report health: a start takes a second, a cold disk some more."""
    device_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_DEVICE_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long the start waits for the worker host's devices before it says that there are none."""
    health_interval_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_HEALTH_INTERVAL")] = (
        20 * NANOSECONDS["ms"]
    )
    """Between two looks for a starting process's socket."""
    restart_backoff_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_RESTART_BACKOFF")] = (
        50 * NANOSECONDS["ms"]
    )
    """Pause before a dead process is restarted; doubled with each death that follows."""
    restart_backoff_max_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_RESTART_BACKOFF_MAX")] = (
        5 * NANOSECONDS["s"]
    )
    """The longest such pause."""
    restart_reset_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_RESTART_RESET")] = 30 * NANOSECONDS["s"]
    """A process that lived so long starts again with the shortest pause."""
    listen_backlog: Annotated[Unsigned, Field(validation_alias="REMUDA_LISTEN_BACKLOG")] = 4096
    """Connections that wait while no gateway accepts, as when one restarts; the kernel may cap it (somaxconn)."""
    client_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_CLIENT_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long the `remuda` command waits for a connection to the server; answers may take as long as they need."""
    threads: Annotated[Unsigned, Field(validation_alias="REMUDA_THREADS")] = 0
    """llama.cpp's threads in a worker; 0 = one per physical core."""
    spin_count: Annotated[Unsigned, Field(validation_alias="REMUDA_SPIN_COUNT")] = 1000
    """How long llama.cpp's threads on a CPU spin for each other before they sleep (GOMP_SPINCOUNT). As fast as endless
    spinning on a quiet machine, and twenty times faster beside other busy processes (docs/performance.md)."""
    prefill_chunk: Annotated[Unsigned, Field(validation_alias="REMUDA_PREFILL_CHUNK")] = 512
    """Prompt tokens computed beside running decodes in one step at most."""
    max_gap: Annotated[float, _reader(float), Field(validation_alias="REMUDA_MAX_GAP")] = 3.0
    """Longest gap between two tokens of a running stream while prompts are computed beside it, in plain decode steps:
    chunks of prompts are sized by measured times to keep it. More = prompts start sooner, streams stutter more. Where
    several prompts wait, the gap may be longer by half for each: a crowd is served faster together."""
    batch_size: Annotated[Unsigned, Field(validation_alias="REMUDA_BATCH_SIZE")] = 512
    """Tokens of one llama_decode at most, where the request names no num_batch."""
    embedding_batch: Annotated[Unsigned, Field(validation_alias="REMUDA_EMBEDDING_BATCH")] = 2048
    """Tokens of one input of an embedding model at most, where the request names no num_batch: such models compute an
    input in one piece, and the memory for that grows with it. Ollama's number."""
    embedding_group: Annotated[Unsigned, Field(validation_alias="REMUDA_EMBEDDING_GROUP")] = 65536
    """Tokens of an embedding request that a worker is given at once: of a long list the next group waits its turn."""
    stats_interval_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_STATS_INTERVAL")] = NANOSECONDS["s"]
    """How often workers and hosts report to the scheduler."""
    max_header: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_HEADER")] = 1 << 20
    """Bytes of a request's line and headers at most, about: Go's default, which Ollama has."""
    max_body: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_BODY")] = 512 * (1 << 20)
    """Bytes of a request body at most: a dozen large images fit, a runaway client does not fill the memory."""
    max_schema: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_SCHEMA")] = 1 << 20
    """Bytes of a JSON schema in `format` at most: one of half that size takes a third of a second to compile."""
    max_grammar: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_GRAMMAR")] = 32 << 10
    """Bytes of a GBNF grammar at most: llama.cpp's examples have less than 10,000, and the time that a hostile one
    takes to translate grows with the square of its size."""
    max_template: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_TEMPLATE")] = 64 << 10
    """Bytes of a request's own Go template at most: real ones have a few thousand; so many take a
    quarter of a second to parse."""
    template_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_TEMPLATE_TIMEOUT")] = (
        2 * NANOSECONDS["s"]
    )
    """Time for one chat template: real ones take milliseconds, a hostile one must end."""
    template_max_output: Annotated[Unsigned, Field(validation_alias="REMUDA_TEMPLATE_MAX_OUTPUT")] = 64 * (1 << 20)
    """Bytes that a chat template may write."""
    embedded_model: Annotated[Text, Field(validation_alias="REMUDA_EMBEDDED_MODEL")] = EMBEDDED_MODEL
    """GGUF file that the store imports as `cria:latest` where no such model is installed; `none` = import nothing."""
    max_metadata: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_METADATA")] = 16 * (1 << 20)
    """Bytes of a manifest, template, parameters or license at most: manifests of ten thousand layers take 2 MB."""
    gguf_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_GGUF_CACHE")] = 256
    """GGUF headers that the store remembers, about 200 KB each: reading one takes up to 0.1 s."""
    submit_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_SUBMIT_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long a gateway tries to reach a scheduler or store that is away: a restart takes less than a second."""
    orphan_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_ORPHAN_TIMEOUT")] = 60 * NANOSECONDS["s"]
    """How long a running stream may be silent after the scheduler died: nobody would tell if its worker did, too."""
    last_piece_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="REMUDA_LAST_PIECE_TIMEOUT")] = (
        5 * NANOSECONDS["s"]
    )
    """How long the last token frame may come after the scheduler's word that the request ended."""
    template_processes: Annotated[Unsigned, Field(validation_alias="REMUDA_TEMPLATE_PROCESSES")] = 2
    """Template processes of a gateway at most: while one is held up by a hostile template, the other one renders."""
    template_memory: Annotated[Unsigned, Field(validation_alias="REMUDA_TEMPLATE_MEMORY")] = GIB
    """Bytes of address space of a template process: the interpreter takes a fifth of it."""
    template_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_TEMPLATE_CACHE")] = 128
    """Compiled chat templates that a gateway remembers: compiling one takes milliseconds."""
    vocabulary_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_VOCABULARY_CACHE")] = 16
    """Vocabularies that a gateway holds: one takes up to 100 MB and half a second to load."""
    tokenize_inline: Annotated[Unsigned, Field(validation_alias="REMUDA_TOKENIZE_INLINE")] = 4096
    """Characters that are tokenised without a thread: 4,096 take about 1 ms, a thread's hand-over 0.1 ms."""

    @property
    def address(self) -> ListenAddress:
        return ListenAddress.parse(self.host)


def context_tier(vram_total: int) -> int:
    """Ollama's default num_ctx in tokens for a machine with `vram_total` bytes of GPU memory."""
    if vram_total >= 47 * GIB:
        return 262144
    return 32768 if vram_total >= 23 * GIB else 4096


def changed_settings(settings: Settings) -> list[str]:
    """`NAME=value` of every variable whose value differs from its default, as the environment spells it."""
    return [
        f"{field.validation_alias}={os.environ.get(str(field.validation_alias), getattr(settings, name))}"
        for name, field in Settings.model_fields.items()
        if getattr(settings, name) != field.get_default(call_default_factory=True)
    ]
