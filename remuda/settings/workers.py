"""Settings of the worker host and the workers: CPUs, weights, the KV cache, batches, drafts and media."""

import tempfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from remuda.durations import NANOSECONDS
from remuda.settings.types import (
    GIB,
    MIB,
    CpuSets,
    Digits,
    Flag,
    Folder,
    LenientSettings,
    OptionalFlag,
    Period,
    Positive,
    PositiveInt32,
    Proportions,
    Unsigned,
    Word,
    warn,
)

KvCacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
UNQUANTISED_KV_CACHE_TYPES = frozenset({"f32", "f16", "bf16"})


class WorkerSettings(LenientSettings):
    """The worker host and its workers read these."""

    devices: Annotated[str, Field(validation_alias="REMUDA_DEVICES")] = ""
    """The devices of this machine, instead of those that are found: a JSON list with sizes in bytes, such as
    `[{"id": "gpu0", "kind": "cuda", "index": 0, "total": 200000000, "free": 200000000}]`. Kinds are `cuda`, `rocm`,
    `vulkan`, `metal`, `sycl` and `cpu`; `name` and `free` may be missing, and the CPU is always there. Indices count
    the visible devices of a kind. A device that exists is used up to the declared size. The workers of one that does
    not exist compute on the CPU. An unusable list ends the start."""
    gpu_overhead: Annotated[Unsigned, Field(validation_alias="OLLAMA_GPU_OVERHEAD")] = 0
    """Bytes of each GPU that are kept free of models."""
    llm_library: Annotated[str, BeforeValidator(str.lower), Field(validation_alias="OLLAMA_LLM_LIBRARY")] = ""
    """The only kind of devices that is used, by its beginning: `cpu`, `cuda`, `rocm`, `vulkan`, `metal` or `sycl`.
    Ollama's own names such as `cuda_v12` do. Anything else means all kinds."""
    device_list_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_DEVICE_LIST_TIMEOUT")] = (
        30 * NANOSECONDS["s"]
    )
    """How long llama.cpp may take to list its devices, in a process of its own. A CPU build takes a tenth of a second,
    a driver that wakes several GPUs some seconds. Ollama's limit is the same."""
    device_refresh_ns: Annotated[Period, Field(validation_alias="REMUDA_DEVICE_REFRESH")] = 15 * NANOSECONDS["s"]
    """How often GPUs that are not NVIDIA's are asked for their free memory. Each time a process opens them for a
    moment, which takes memory on them. In between the last figures hold."""

    threads: Annotated[int, Field(ge=0, le=512), Digits, Field(validation_alias="REMUDA_THREADS")] = 0
    """llama.cpp's threads in a worker. 0 = one per physical core, of the cores that the worker may use
    (REMUDA_CPU_AFFINITY) and that its container's CPU quota pays for."""
    cpu_affinity: Annotated[CpuSets, Field(validation_alias="REMUDA_CPU_AFFINITY")] = ()
    """The CPUs that workers run on, as `taskset` lists them: `0-3`. Semicolons separate several sets (`0-3;4-7`). Each
    new worker gets the set that the fewest have, so that workers do not disturb each other. Unset: all CPUs."""
    numa: Annotated[
        Literal["off", "distribute", "isolate", "numactl", "mirror"], Word, Field(validation_alias="REMUDA_NUMA")
    ] = "off"
    """How llama.cpp spreads its threads over the nodes of a NUMA machine: `off`, `distribute`, `isolate` (the CPUs of
    the node it started on), `numactl` (the CPUs it was given, as by REMUDA_CPU_AFFINITY) or `mirror`."""
    spin_count: Annotated[Unsigned, Field(validation_alias="REMUDA_SPIN_COUNT")] = 1000
    """How long llama.cpp's threads on a CPU spin for each other before they sleep (GOMP_SPINCOUNT). The default is as
    fast as endless spinning on a quiet machine, and twenty times faster beside other busy processes
    (docs/performance.md)."""

    mlock: Annotated[Flag, Field(validation_alias="REMUDA_MLOCK")] = False
    """Keep weights in RAM, even when other processes need memory. It needs a limit (`ulimit -l`) of their size."""
    direct_io: Annotated[Flag, Field(validation_alias="REMUDA_DIRECT_IO")] = False
    """Read weights past the page cache: for models that are larger than RAM and go to GPUs. REMUDA_MLOCK and a
    request's `use_mmap` override it."""
    split_mode: Annotated[
        Literal["none", "layer", "row", "tensor"], Word, Field(validation_alias="REMUDA_SPLIT_MODE")
    ] = "layer"
    """How llama.cpp spreads a model over several GPUs (OLLAMA_SCHED_SPREAD): whole layers (`layer`), rows of the
    matrices (`row`), all tensors in parallel (`tensor`), or not at all (`none`)."""
    tensor_split: Annotated[Proportions, Field(validation_alias="REMUDA_TENSOR_SPLIT")] = ()
    """Proportions of a model on each of several GPUs (OLLAMA_SCHED_SPREAD): `3,1`. Unset: by their free memory."""
    measure_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_MEASURE_TIMEOUT")] = 30 * NANOSECONDS["s"]
    """How long a dry run may take, which tells what a model would take before it is loaded. It takes a tenth of a
    second, a second with the largest vocabularies, and longer from a cold disk."""
    measure_processes: Annotated[Positive, Field(validation_alias="REMUDA_MEASURE_PROCESSES")] = 2
    """Dry runs at a time. Beside one that takes all its time, other models are still measured. On a GPU each takes some
    hundred megabytes for a moment."""
    measure_queue: Annotated[Unsigned, Field(validation_alias="REMUDA_MEASURE_QUEUE")] = 64
    """Models that wait for a dry run at most. Further ones are not loaded, and say why."""
    measure_memory: Annotated[int, Field(ge=GIB // 2), Digits, Field(validation_alias="REMUDA_MEASURE_MEMORY")] = (
        64 * GIB
    )
    """Bytes of address space of a dry run on a machine without GPUs. A projector's weights and a recurrent model's
    states are allocated in it for a moment. All else takes some hundred megabytes. With a GPU there is no limit: CUDA
    reserves address space for all memory there is."""
    measurements_kept: Annotated[Positive, Field(validation_alias="REMUDA_MEASUREMENTS_KEPT")] = 1024
    """What dry runs said, kept by model, options and files. One takes a kilobyte or two."""
    adapters_kept: Annotated[Unsigned, Field(validation_alias="REMUDA_ADAPTERS_KEPT")] = 16
    """Loaded LoRA adapters of a replica. Beyond this number, adapters that no request uses are dropped. Each takes some
    ten to some hundred megabytes beside the model, and half a second to load again."""

    flash_attention: Annotated[OptionalFlag, Field(validation_alias="OLLAMA_FLASH_ATTENTION")] = None
    """Flash attention on or off. Unset: the engine's choice."""
    kv_cache_type: Annotated[KvCacheType, Word, Field(validation_alias="OLLAMA_KV_CACHE_TYPE")] = "f16"
    """Type of the KV cache. All but `f32`, `f16` and `bf16` need flash attention: with OLLAMA_FLASH_ATTENTION=0 they
    give a warning and `f16`."""
    prompt_cache_ram: Annotated[Unsigned, Field(validation_alias="REMUDA_PROMPT_CACHE_RAM")] = 2 * GIB
    """Bytes of KV states that a worker keeps in host memory for prompts that begin alike; 0 = none. The default holds
    some 15,000 tokens of an 8 B model with grouped attention."""
    prompt_cache_disk: Annotated[Unsigned, Field(validation_alias="REMUDA_PROMPT_CACHE_DISK")] = 0
    """Bytes of KV states that a worker keeps on disk when they have to leave its memory; 0 = none."""
    prompt_cache_folder: Annotated[Folder, Field(validation_alias="REMUDA_PROMPT_CACHE_FOLDER")] = Path(
        tempfile.gettempdir()
    )
    """Where the files of REMUDA_PROMPT_CACHE_DISK lie. They are nameless, so that they vanish with the worker."""
    checkpoint_interval: Annotated[Unsigned, Field(validation_alias="REMUDA_CHECKPOINT_INTERVAL")] = 1024
    """Tokens of a prompt between two kept states of a model whose memory cannot be cut (recurrent, sliding window).
    Other prompts start from the last state that they share. Fewer tokens leave less to compute again and put more
    copies into REMUDA_PROMPT_CACHE_RAM; 0 = only one state, shortly before the prompt's end."""

    batch_size: Annotated[PositiveInt32, Field(validation_alias="REMUDA_BATCH_SIZE")] = 512
    """Most tokens of one llama_decode, where the request names no num_batch."""
    prefill_chunk: Annotated[Positive, Field(validation_alias="REMUDA_PREFILL_CHUNK")] = 512
    """Most prompt tokens of a step that also decodes."""
    max_gap: Annotated[float, Field(gt=1, allow_inf_nan=False, validation_alias="REMUDA_MAX_GAP")] = 3.0
    """Longest gap between two tokens of a running stream while prompts are computed beside it. The unit is a plain
    decode step; the stream's own counts. Chunks of prompts are sized by measured times to keep the gap. A longer one
    starts prompts sooner and makes streams stutter more. Where several prompts wait, each may lengthen the gap by half,
    since a crowd is served faster together."""
    draft_tokens: Annotated[Unsigned, Field(validation_alias="REMUDA_DRAFT_TOKENS")] = 8
    """Most tokens that are drafted (from repeats in the text, by a draft model or by the model's own heads) and
    verified in one step, where a request does not say draft_num_predict; 0 = none. Fewer or none are drafted where that
    gives more tokens a second."""
    draft_rows: Annotated[Unsigned, Field(validation_alias="REMUDA_DRAFT_ROWS")] = 32
    """Most drafted tokens of a step, over all requests; 0 = no drafts. Each takes memory for a row of logits."""
    draft_snapshots: Annotated[Unsigned, Field(validation_alias="REMUDA_DRAFT_SNAPSHOTS")] = 2
    """Most drafted tokens of one request and step where a model has recurrent layers. Such a model goes back when a
    draft was wrong. For that each slot keeps one more state per token, some 100 MB in a large model."""

    max_image_pixels: Annotated[Positive, Field(validation_alias="REMUDA_MAX_IMAGE_PIXELS")] = 1 << 26
    """Most pixels of an image. Telephones take up to 50 million; the default takes 200 MB once decoded."""
    max_sound_seconds: Annotated[Positive, Field(validation_alias="REMUDA_MAX_SOUND_SECONDS")] = 600
    """Longest sound in seconds. Ten minutes have more tokens than most contexts, and take 200 MB once decoded."""
    image_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_IMAGE_CACHE")] = 256 * MIB
    """Bytes of encoded images and sounds that a worker keeps; 0 = none. The default holds some 30 images of a large
    model. A chat sends its images again with every turn, and encoding one takes as long as a thousand tokens or
    more."""
    fetch_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_FETCH_TIMEOUT")] = 30 * NANOSECONDS["s"]
    """How long a worker may take to fetch a large request from its gateway (REMUDA_INLINE_WORK). 48 MB take
    a third of a second on a busy machine. Until then the request keeps its slot."""
    stats_interval_ns: Annotated[Period, Field(validation_alias="REMUDA_STATS_INTERVAL")] = NANOSECONDS["s"]
    """How often workers and hosts report to the scheduler."""

    @field_validator("kv_cache_type")
    @classmethod
    def _unquantised_without_flash_attention(cls, kind: KvCacheType, info: ValidationInfo) -> KvCacheType:
        """As in Ollama, a quantised cache becomes f16 where flash attention is off."""
        if info.data["flash_attention"] is not False or kind in UNQUANTISED_KV_CACHE_TYPES:
            return kind
        warn(f"OLLAMA_KV_CACHE_TYPE={kind} needs flash attention, which OLLAMA_FLASH_ATTENTION turns off: f16 is used")
        return "f16"
