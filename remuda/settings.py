"""Every environment variable that Remuda reads, with its default and the reason for it.

`OLLAMA_*` names keep Ollama's meaning and reading rules: values are trimmed and may be quoted, an unreadable number
falls back to the default with a warning, an unreadable boolean counts as true. `docs/settings.md` is made from this
file.
"""

import math
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from remuda.cpu_lists import parse_cpu_sets
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
            name = Settings.model_fields[info.field_name or ""].validation_alias
            warnings.warn(f"{name} has no readable value {text!r}: {default!r} is used", InvalidSetting, 2)
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


def _one_of(*words: str) -> BeforeValidator:
    """Reads one of a few words, in any case."""

    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(text)
        return text.lower()

    return _reader(read)


def _proportions(text: str) -> tuple[float, ...]:
    """`3,1`: finite numbers that are not negative, and not all zero."""
    numbers = tuple(float(part) for part in text.split(","))
    if not all(0 <= number < math.inf for number in numbers) or not any(numbers):
        raise ValueError(text)
    return numbers


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
    sched_spread: Annotated[Flag, Field(validation_alias="OLLAMA_SCHED_SPREAD")] = False
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
    """llama.cpp's threads in a worker; 0 = one per physical core, of those that it may use (REMUDA_CPU_AFFINITY) and
    that its container's CPU quota pays for."""
    cpu_affinity: Annotated[
        tuple[frozenset[int], ...], _reader(parse_cpu_sets), Field(validation_alias="REMUDA_CPU_AFFINITY")
    ] = ()
    """The CPUs that workers run on, as `taskset` lists them: `0-3`. Several sets, separated by semicolons (`0-3;4-7`):
    each new worker gets the set that the fewest have, so that workers do not disturb each other. Unset: all CPUs."""
    numa: Annotated[
        str, _one_of("off", "distribute", "isolate", "numactl", "mirror"), Field(validation_alias="REMUDA_NUMA")
    ] = "off"
    """How llama.cpp spreads its threads over the nodes of a NUMA machine: `off`, `distribute`, `isolate` (those of the
    node it started on), `numactl` (the CPUs it was given, as by REMUDA_CPU_AFFINITY) or `mirror`."""
    mlock: Annotated[Flag, Field(validation_alias="REMUDA_MLOCK")] = False
    """Keep the weights that are in RAM there, whatever else wants it. Needs a limit (`ulimit -l`) of their size."""
    direct_io: Annotated[Flag, Field(validation_alias="REMUDA_DIRECT_IO")] = False
    """Read weights past the page cache: for models that are larger than RAM and go to GPUs. Gives way to REMUDA_MLOCK
    and to a request's `use_mmap`."""
    split_mode: Annotated[
        str, _one_of("none", "layer", "row", "tensor"), Field(validation_alias="REMUDA_SPLIT_MODE")
    ] = "layer"
    """How llama.cpp spreads a model over several GPUs (OLLAMA_SCHED_SPREAD): whole layers (`layer`), rows of the
    matrices (`row`), all tensors in parallel (`tensor`), or not at all (`none`)."""
    tensor_split: Annotated[
        tuple[float, ...], _reader(_proportions), Field(validation_alias="REMUDA_TENSOR_SPLIT")
    ] = ()
    """Proportions of a model on each of several GPUs (OLLAMA_SCHED_SPREAD): `3,1`. Unset: by their free memory."""
    spin_count: Annotated[Unsigned, Field(validation_alias="REMUDA_SPIN_COUNT")] = 1000
    """How long llama.cpp's threads on a CPU spin for each other before they sleep (GOMP_SPINCOUNT). As fast as endless
    spinning on a quiet machine, and twenty times faster beside other busy processes (docs/performance.md)."""
    prefill_chunk: Annotated[Unsigned, Field(validation_alias="REMUDA_PREFILL_CHUNK")] = 512
    """Prompt tokens computed beside running decodes in one step at most."""
    max_gap: Annotated[float, _reader(float), Field(validation_alias="REMUDA_MAX_GAP")] = 3.0
    """Longest gap between two tokens of a running stream while prompts are computed beside it, in plain decode steps:
    chunks of prompts are sized by measured times to keep it. More = prompts start sooner, streams stutter more. Where
    several prompts wait, the gap may be longer by half for each: a crowd is served faster together."""
    kv_cells: Annotated[Unsigned, Field(validation_alias="REMUDA_KV_CELLS")] = 0
    """Tokens that the KV cache of a replica holds, shared by its slots; 0 = num_ctx for each slot. Fewer save memory
    where few requests use their whole context: when they run out, the youngest request waits until others have ended.
    Every token attends over all cells that are in use, which costs where many long requests run at once."""
    prompt_cache_ram: Annotated[Unsigned, Field(validation_alias="REMUDA_PROMPT_CACHE_RAM")] = 2 * GIB
    """Bytes of KV states that a worker keeps in host memory for prompts that begin alike: some 15,000 tokens of an 8 B
    model with grouped attention; 0 = none."""
    prompt_cache_disk: Annotated[Unsigned, Field(validation_alias="REMUDA_PROMPT_CACHE_DISK")] = 0
    """Bytes of such states that a worker keeps on disk when they have to leave its memory; 0 = none."""
    prompt_cache_folder: Annotated[Folder, Field(validation_alias="REMUDA_PROMPT_CACHE_FOLDER")] = Path(
        tempfile.gettempdir()
    )
    """Where these files lie: nameless, so that they vanish with the worker."""
    checkpoint_interval: Annotated[Unsigned, Field(validation_alias="REMUDA_CHECKPOINT_INTERVAL")] = 1024
    """Tokens of a prompt after which the state of a model whose memory cannot be cut (recurrent, sliding window) is
    kept for other prompts: fewer = shorter ways from the last common one, more copies in REMUDA_PROMPT_CACHE_RAM."""
    adapters_kept: Annotated[Unsigned, Field(validation_alias="REMUDA_ADAPTERS_KEPT")] = 16
    """LoRA adapters of a replica that stay loaded, those that no request uses just now included: each takes some ten to
    some hundred megabytes beside the model, and half a second to load again."""
    draft_tokens: Annotated[Unsigned, Field(validation_alias="REMUDA_DRAFT_TOKENS")] = 8
    """Tokens that are guessed ahead (from repeats in the text, by a draft model or the model's own heads) and verified
    in one step at most, where a request does not say draft_num_predict. Fewer or none are guessed where that gives more
    tokens a second."""
    draft_rows: Annotated[Unsigned, Field(validation_alias="REMUDA_DRAFT_ROWS")] = 32
    """Such tokens of all requests of a step together at most: each takes memory for a row of logits."""
    draft_snapshots: Annotated[Unsigned, Field(validation_alias="REMUDA_DRAFT_SNAPSHOTS")] = 2
    """Such tokens of one request and step at most where a model has recurrent layers: it goes back when a guess was
    wrong, for which each slot keeps one more state for each token, some 100 MB in a large model."""
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
    max_decompressed: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_DECOMPRESSED")] = 20 * (1 << 20)
    """Bytes of a request body that came in zstd, before and after decompression. Ollama's number."""
    max_unread: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_UNREAD")] = 1 << 20
    """Bytes of token pieces that a gateway holds for a client that does not read; beyond them the request is cancelled
    and its connection closed. 50,000 tokens, more than most replies have, are so much, and 25 MB of the gateway's
    memory; or 2,700 with 20 alternatives each."""
    max_prompts: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_PROMPTS")] = 128
    """Prompts of one request at /v1/completions: each takes a place of its own in the queue (OLLAMA_MAX_QUEUE)."""
    max_media: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_MEDIA")] = 48 * (1 << 20)
    """Bytes of a request's images and sounds at most: they go through the scheduler as one message, and it has 64 MB
    for one."""
    max_image_pixels: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_IMAGE_PIXELS")] = 1 << 26
    """Pixels of an image at most: telephones take up to 50 million; so many are 200 MB once decoded."""
    max_sound_seconds: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_SOUND_SECONDS")] = 600
    """Length of a sound at most: ten minutes have more tokens than most contexts, and take 200 MB once decoded."""
    image_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_IMAGE_CACHE")] = 256 * (1 << 20)
    """Bytes of encoded images and sounds that a worker keeps: some 30 images of a large model. A chat sends its images
    again with every turn, and to encode one takes as long as a thousand tokens or more."""
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
