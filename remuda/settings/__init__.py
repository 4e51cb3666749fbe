"""Every environment variable that Remuda reads, with its default and the reason for it.

`OLLAMA_*` names keep Ollama's meaning and reading rules (`setting_types`); their bounds exclude only what could never
work. `docs/settings.md` is made from this file.
"""

import os
import tempfile
import warnings
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from remuda.durations import NANOSECONDS
from remuda.listen_address import ListenAddress
from remuda.settings.types import (
    MAX_INT,
    CommaList,
    CpuSets,
    Digits,
    Flag,
    Folder,
    Host,
    InvalidSetting,
    LenientSettings,
    Level,
    Nanoseconds,
    OptionalFlag,
    Period,
    Positive,
    PositiveInt32,
    Proportions,
    Unsigned,
    Word,
    warn,
)

GIB = 1 << 30
EMBEDDED_MODEL = str(Path(__file__).resolve().parents[2] / "models" / "cria.gguf")

KvCacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
WHOLE_KV_CACHE_TYPES = frozenset({"f32", "f16", "bf16"})
"""Those that are not quantised."""


class Settings(LenientSettings):
    """One process's view of the environment. Sizes are bytes, durations nanoseconds."""

    # ---- Ollama's variables ----
    host: Annotated[Host, Field(validation_alias="OLLAMA_HOST")] = "127.0.0.1:11434"
    models: Annotated[Folder, Field(validation_alias="OLLAMA_MODELS")] = Path.home() / ".ollama" / "models"
    keep_alive_ns: Annotated[Nanoseconds, Field(validation_alias="OLLAMA_KEEP_ALIVE")] = 300 * NANOSECONDS["s"]
    load_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="OLLAMA_LOAD_TIMEOUT")] = 300 * NANOSECONDS["s"]
    context_length: Annotated[Unsigned, Field(validation_alias="OLLAMA_CONTEXT_LENGTH")] = 0
    """Default num_ctx in tokens; 0 = by the devices' memory (4096, 32768 or 262144)."""
    num_parallel: Annotated[int, Field(ge=0, le=256), Digits, Field(validation_alias="OLLAMA_NUM_PARALLEL")] = 4
    """Slots of a replica; 0 = 1, and llama.cpp has 256 at most. Ollama's default is 1; continuous batching makes
    further slots nearly free in time, and four contexts are what a small card still holds."""
    max_loaded_models: Annotated[Unsigned, Field(validation_alias="OLLAMA_MAX_LOADED_MODELS")] = 0
    """Resident models at most; 0 = three per GPU, three on a machine without one."""
    max_queue: Annotated[Unsigned, Field(validation_alias="OLLAMA_MAX_QUEUE")] = 512
    """Requests waiting for a slot or a load, over all models. One more is refused with 503."""
    sched_spread: Annotated[Flag, Field(validation_alias="OLLAMA_SCHED_SPREAD")] = False
    flash_attention: Annotated[OptionalFlag, Field(validation_alias="OLLAMA_FLASH_ATTENTION")] = None
    kv_cache_type: Annotated[KvCacheType, Word, Field(validation_alias="OLLAMA_KV_CACHE_TYPE")] = "f16"
    origins: Annotated[CommaList, Field(validation_alias="OLLAMA_ORIGINS")] = ()
    debug: Annotated[Level, Field(validation_alias="OLLAMA_DEBUG")] = 0
    go_template: Annotated[OptionalFlag, Field(validation_alias="OLLAMA_GO_TEMPLATE")] = None
    no_cloud: Annotated[Flag, Field(validation_alias="OLLAMA_NO_CLOUD")] = False

    # ---- Remuda's own ----
    gateways: Annotated[Positive, Field(validation_alias="REMUDA_GATEWAYS")] = 1
    """Gateway processes sharing the listening socket. One carries about 10,000 streamed tokens a second."""
    run_dir: Annotated[Folder, Field(validation_alias="REMUDA_RUN_DIR")] = (
        Path(tempfile.gettempdir()) / f"remuda-{os.getuid()}"
    )
    """Parent of the private folder (mode 0700) that holds an instance's sockets."""
    log_format: Annotated[Literal["auto", "console", "json"], Word, Field(validation_alias="REMUDA_LOG_FORMAT")] = (
        "auto"
    )
    """`auto` (readable on a terminal, JSON otherwise), `console` or `json`."""
    stop_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_STOP_TIMEOUT")] = 4 * NANOSECONDS["s"]
    """How long a process may take to stop before it is killed; five seconds is what operators are promised for all."""
    start_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_START_TIMEOUT")] = 30 * NANOSECONDS["s"]
    """How long a process may take to report health: a start takes a second, a cold disk some more."""
    device_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_DEVICE_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long the start waits for the worker host's devices before it says that there are none."""
    health_interval_ns: Annotated[Period, Field(validation_alias="REMUDA_HEALTH_INTERVAL")] = 20 * NANOSECONDS["ms"]
    """Between two looks for a starting process's socket."""
    restart_backoff_ns: Annotated[Period, Field(validation_alias="REMUDA_RESTART_BACKOFF")] = 50 * NANOSECONDS["ms"]
    """Pause before a dead process is restarted; doubled with each death that follows."""
    restart_backoff_max_ns: Annotated[Period, Field(validation_alias="REMUDA_RESTART_BACKOFF_MAX")] = (
        5 * NANOSECONDS["s"]
    )
    """The longest such pause."""
    restart_reset_ns: Annotated[Period, Field(validation_alias="REMUDA_RESTART_RESET")] = 30 * NANOSECONDS["s"]
    """A process that lived so long starts again with the shortest pause."""
    listen_backlog: Annotated[PositiveInt32, Field(validation_alias="REMUDA_LISTEN_BACKLOG")] = 4096
    """Connections that wait while no gateway accepts, as when one restarts; the kernel may cap it (somaxconn)."""
    client_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_CLIENT_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long the `remuda` command waits for a connection to the server; answers may take as long as they need."""
    threads: Annotated[int, Field(ge=0, le=512), Digits, Field(validation_alias="REMUDA_THREADS")] = 0
    """llama.cpp's threads in a worker; 0 = one per physical core, of those that it may use (REMUDA_CPU_AFFINITY) and
    that its container's CPU quota pays for."""
    cpu_affinity: Annotated[CpuSets, Field(validation_alias="REMUDA_CPU_AFFINITY")] = ()
    """The CPUs that workers run on, as `taskset` lists them: `0-3`. Several sets, separated by semicolons (`0-3;4-7`):
    each new worker gets the set that the fewest have, so that workers do not disturb each other. Unset: all CPUs."""
    numa: Annotated[
        Literal["off", "distribute", "isolate", "numactl", "mirror"], Word, Field(validation_alias="REMUDA_NUMA")
    ] = "off"
    """How llama.cpp spreads its threads over the nodes of a NUMA machine: `off`, `distribute`, `isolate` (those of the
    node it started on), `numactl` (the CPUs it was given, as by REMUDA_CPU_AFFINITY) or `mirror`."""
    mlock: Annotated[Flag, Field(validation_alias="REMUDA_MLOCK")] = False
    """Keep the weights that are in RAM there, whatever else wants it. Needs a limit (`ulimit -l`) of their size."""
    direct_io: Annotated[Flag, Field(validation_alias="REMUDA_DIRECT_IO")] = False
    """Read weights past the page cache: for models that are larger than RAM and go to GPUs. Gives way to REMUDA_MLOCK
    and to a request's `use_mmap`."""
    split_mode: Annotated[
        Literal["none", "layer", "row", "tensor"], Word, Field(validation_alias="REMUDA_SPLIT_MODE")
    ] = "layer"
    """How llama.cpp spreads a model over several GPUs (OLLAMA_SCHED_SPREAD): whole layers (`layer`), rows of the
    matrices (`row`), all tensors in parallel (`tensor`), or not at all (`none`)."""
    tensor_split: Annotated[Proportions, Field(validation_alias="REMUDA_TENSOR_SPLIT")] = ()
    """Proportions of a model on each of several GPUs (OLLAMA_SCHED_SPREAD): `3,1`. Unset: by their free memory."""
    spin_count: Annotated[Unsigned, Field(validation_alias="REMUDA_SPIN_COUNT")] = 1000
    """How long llama.cpp's threads on a CPU spin for each other before they sleep (GOMP_SPINCOUNT). As fast as endless
    spinning on a quiet machine, and twenty times faster beside other busy processes (docs/performance.md)."""
    prefill_chunk: Annotated[Positive, Field(validation_alias="REMUDA_PREFILL_CHUNK")] = 512
    """Prompt tokens computed beside running decodes in one step at most."""
    max_gap: Annotated[float, Field(gt=1, allow_inf_nan=False, validation_alias="REMUDA_MAX_GAP")] = 3.0
    """Longest gap between two tokens of a running stream while prompts are computed beside it, in plain decode steps,
    the stream's own included: chunks of prompts are sized by measured times to keep it. More = prompts start sooner,
    streams stutter more. Where several prompts wait, the gap may be longer by half for each: a crowd is served faster
    together."""
    kv_cells: Annotated[
        Literal[0] | Annotated[int, Field(ge=256, le=MAX_INT)], Digits, Field(validation_alias="REMUDA_KV_CELLS")
    ] = 0
    """Tokens that the KV cache of a replica holds, shared by its slots; 0 = num_ctx for each slot. They are also the
    largest context that a single request gets, whatever its num_ctx. Fewer save memory where few requests use their
    whole context: when they run out, the youngest request waits until others have ended. Every token attends over all
    cells that are in use, which costs where many long requests run at once."""
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
    kept for other prompts: fewer = shorter ways from the last common one, more copies in REMUDA_PROMPT_CACHE_RAM; 0 =
    only shortly before its end."""
    adapters_kept: Annotated[Unsigned, Field(validation_alias="REMUDA_ADAPTERS_KEPT")] = 16
    """Loaded LoRA adapters of a replica, beyond which those that no request uses are dropped: each takes some ten to
    some hundred megabytes beside the model, and half a second to load again."""
    draft_tokens: Annotated[Unsigned, Field(validation_alias="REMUDA_DRAFT_TOKENS")] = 8
    """Tokens that are guessed ahead (from repeats in the text, by a draft model or the model's own heads) and verified
    in one step at most, where a request does not say draft_num_predict; 0 = none. Fewer or none are guessed where that
    gives more tokens a second."""
    draft_rows: Annotated[Unsigned, Field(validation_alias="REMUDA_DRAFT_ROWS")] = 32
    """Such tokens of all requests of a step together at most: each takes memory for a row of logits; 0 =
    no drafts."""
    draft_snapshots: Annotated[Unsigned, Field(validation_alias="REMUDA_DRAFT_SNAPSHOTS")] = 2
    """Such tokens of one request and step at most where a model has recurrent layers: it goes back when a guess was
    wrong, for which each slot keeps one more state for each token, some 100 MB in a large model."""
    batch_size: Annotated[PositiveInt32, Field(validation_alias="REMUDA_BATCH_SIZE")] = 512
    """Tokens of one llama_decode at most, where the request names no num_batch."""
    embedding_batch: Annotated[PositiveInt32, Field(validation_alias="REMUDA_EMBEDDING_BATCH")] = 2048
    """Tokens of one input of an embedding model at most, where the request names no num_batch: such models compute an
    input in one piece, and the memory for that grows with it. Ollama's number."""
    embedding_group: Annotated[Positive, Field(validation_alias="REMUDA_EMBEDDING_GROUP")] = 65536
    """Tokens of an embedding request that a worker is given at once: of a long list the next group waits its turn."""
    stats_interval_ns: Annotated[Period, Field(validation_alias="REMUDA_STATS_INTERVAL")] = NANOSECONDS["s"]
    """How often workers and hosts report to the scheduler."""
    max_header: Annotated[Positive, Field(validation_alias="REMUDA_MAX_HEADER")] = 1 << 20
    """Bytes of a request's line and headers at most, about: Go's default, which Ollama has."""
    max_body: Annotated[Positive, Field(validation_alias="REMUDA_MAX_BODY")] = 512 * (1 << 20)
    """Bytes of a request body at most: a dozen large images fit, a runaway client does not fill the memory."""
    max_decompressed: Annotated[Positive, Field(validation_alias="REMUDA_MAX_DECOMPRESSED")] = 20 * (1 << 20)
    """Bytes of a request body that came in zstd, before and after decompression. Ollama's number."""
    max_unread: Annotated[Positive, Field(validation_alias="REMUDA_MAX_UNREAD")] = 1 << 20
    """Bytes of token pieces that a gateway holds for a client that does not read; beyond them the request is cancelled
    and its connection closed. 50,000 tokens, more than most replies have, are so much, and 25 MB of the gateway's
    memory; or 2,700 with 20 alternatives each."""
    max_prompts: Annotated[Positive, Field(validation_alias="REMUDA_MAX_PROMPTS")] = 128
    """Prompts of one request at /v1/completions: each takes a place of its own in the queue (OLLAMA_MAX_QUEUE)."""
    max_stops: Annotated[Positive, Field(validation_alias="REMUDA_MAX_STOPS")] = 128
    """Stop strings of a request or model at most: real ones have a dozen. The worker looks for each after every token,
    while all streams of the replica wait."""
    max_media: Annotated[int, Field(ge=0, le=60 << 20), Digits, Field(validation_alias="REMUDA_MAX_MEDIA")] = 48 << 20
    """Bytes of a request's images and sounds at most: they go through the scheduler as one message, and it has 64 MB
    for one; 0 = none are taken."""
    max_image_pixels: Annotated[Positive, Field(validation_alias="REMUDA_MAX_IMAGE_PIXELS")] = 1 << 26
    """Pixels of an image at most: telephones take up to 50 million; so many are 200 MB once decoded."""
    max_sound_seconds: Annotated[Positive, Field(validation_alias="REMUDA_MAX_SOUND_SECONDS")] = 600
    """Length of a sound at most: ten minutes have more tokens than most contexts, and take 200 MB once decoded."""
    image_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_IMAGE_CACHE")] = 256 * (1 << 20)
    """Bytes of encoded images and sounds that a worker keeps: some 30 images of a large model. A chat sends its images
    again with every turn, and to encode one takes as long as a thousand tokens or more; 0 = none."""
    max_schema: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_SCHEMA")] = 1 << 20
    """Bytes of a JSON schema in `format` at most: one of half that size takes a third of a second to compile;
    0 = none is taken."""
    max_grammar: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_GRAMMAR")] = 32 << 10
    """Bytes of a GBNF grammar at most: llama.cpp's examples have less than 10,000, and the time that a hostile one
    takes to translate grows with the square of its size; 0 = none is taken."""
    max_template: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_TEMPLATE")] = 64 << 10
    """Bytes of a request's own Go template at most: real ones have a few thousand; so many take a
    quarter of a second to parse; 0 = none is taken."""
    template_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_TEMPLATE_TIMEOUT")] = 2 * NANOSECONDS["s"]
    """Time for one chat template: real ones take milliseconds, a hostile one must end."""
    template_max_output: Annotated[Positive, Field(validation_alias="REMUDA_TEMPLATE_MAX_OUTPUT")] = 64 * (1 << 20)
    """Bytes that a chat template may write."""
    embedded_model: Annotated[str, Field(validation_alias="REMUDA_EMBEDDED_MODEL")] = EMBEDDED_MODEL
    """GGUF file that the store imports as `cria:latest` where no such model is installed; `none` = import nothing."""
    max_metadata: Annotated[Positive, Field(validation_alias="REMUDA_MAX_METADATA")] = 16 * (1 << 20)
    """Bytes of a manifest, template, parameters or license at most: manifests of ten thousand layers take 2 MB."""
    gguf_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_GGUF_CACHE")] = 256
    """GGUF headers that the store remembers, about 200 KB each: reading one takes up to 0.1 s; 0 = none."""
    submit_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_SUBMIT_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long a gateway tries to reach a scheduler or store that is away: a restart takes less than a second."""
    orphan_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_ORPHAN_TIMEOUT")] = 60 * NANOSECONDS["s"]
    """How long a running stream may be silent after the scheduler died: nobody would tell if its worker did, too."""
    last_piece_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_LAST_PIECE_TIMEOUT")] = 5 * NANOSECONDS["s"]
    """How long the last token frame may come after the scheduler's word that the request ended."""
    template_processes: Annotated[Positive, Field(validation_alias="REMUDA_TEMPLATE_PROCESSES")] = 2
    """Template processes of a gateway at most: while one is held up by a hostile template, the other one renders."""
    template_memory: Annotated[int, Field(ge=GIB // 4), Digits, Field(validation_alias="REMUDA_TEMPLATE_MEMORY")] = GIB
    """Bytes of address space of a template process: the interpreter takes a fifth of it."""
    template_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_TEMPLATE_CACHE")] = 128
    """Compiled chat templates that a gateway remembers: compiling one takes milliseconds; 0 = none."""
    vocabulary_cache: Annotated[Positive, Field(validation_alias="REMUDA_VOCABULARY_CACHE")] = 16
    """Vocabularies that a gateway holds: one takes up to 100 MB and half a second to load."""
    tokenize_inline: Annotated[Unsigned, Field(validation_alias="REMUDA_TOKENIZE_INLINE")] = 4096
    """Characters that are tokenised without a thread: 4,096 take about 1 ms, a thread's hand-over 0.1 ms."""

    @property
    def address(self) -> ListenAddress:
        return ListenAddress.parse(self.host)

    @field_validator("kv_cache_type")
    @classmethod
    def _with_flash_attention(cls, kind: KvCacheType, info: ValidationInfo) -> KvCacheType:
        """As in Ollama, who turns flash attention off gets a cache that works without."""
        if info.data["flash_attention"] is not False or kind in WHOLE_KV_CACHE_TYPES:
            return kind
        warn(f"OLLAMA_KV_CACHE_TYPE={kind} needs flash attention, which OLLAMA_FLASH_ATTENTION turns off: f16 is used")
        return "f16"


def context_tier(vram_total: int) -> int:
    """Ollama's default num_ctx in tokens for a machine with `vram_total` bytes of GPU memory."""
    if vram_total >= 47 * GIB:
        return 262144
    return 32768 if vram_total >= 23 * GIB else 4096


def read_settings() -> tuple[Settings, list[str]]:
    """The settings of this process's environment, and what cannot be used of it."""
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always", InvalidSetting)
        settings = Settings()
    return settings, [str(complaint.message) for complaint in complaints]


def changed_settings(settings: Settings) -> list[str]:
    """`NAME=value` of every variable whose value differs from its default, as the environment spells it."""
    return [
        f"{field.validation_alias}={os.environ.get(str(field.validation_alias), getattr(settings, name))}"
        for name, field in Settings.model_fields.items()
        if getattr(settings, name) != field.get_default(call_default_factory=True)
    ]
