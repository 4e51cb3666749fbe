"""Settings of the scheduler: the queue, and which models stay loaded where."""

from typing import Annotated

from pydantic import Field

from remuda.durations import NANOSECONDS
from remuda.settings.types import MIB, Digits, Flag, LenientSettings, Nanoseconds, Period, Unsigned


class SchedulerSettings(LenientSettings):
    """The scheduler reads these."""

    max_queue: Annotated[Unsigned, Field(validation_alias="OLLAMA_MAX_QUEUE")] = 512
    """Requests of all models that may wait for a slot or a load. One more is refused with 503."""
    queue_bytes: Annotated[Unsigned, Field(validation_alias="REMUDA_QUEUE_BYTES")] = 64 * MIB
    """Bytes of requests that may wait in the scheduler. One that would exceed them is refused with 503, unless a slot
    is free. Larger requests wait in their gateways and do not count (REMUDA_INLINE_WORK). The default is twice what 512
    of the largest take. The process needs two bytes of memory for each."""
    num_parallel: Annotated[int, Field(ge=0, le=256), Digits, Field(validation_alias="OLLAMA_NUM_PARALLEL")] = 0
    """Slots of a replica. 0 = as many of 16, 8, 4, 2 or 1 as fit beside the model: continuous batching makes further
    slots nearly free in time, and each takes a context's memory. llama.cpp has 256 at most."""
    max_loaded_models: Annotated[Unsigned, Field(validation_alias="OLLAMA_MAX_LOADED_MODELS")] = 0
    """Most resident models; 0 = three per GPU, or three on a machine without one."""
    max_replicas: Annotated[Unsigned, Field(validation_alias="REMUDA_MAX_REPLICAS")] = 0
    """Most replicas of one model, each on a GPU of its own or, without GPUs, in host memory; 0 = as many as there are
    GPUs."""
    scale_up_after_ns: Annotated[Period, Field(validation_alias="REMUDA_SCALE_UP_AFTER")] = 2 * NANOSECONDS["s"]
    """How long a request waits for a slot before its model gets another replica. A load takes seconds: a shorter burst
    is served sooner by the slots that there are."""
    keep_alive_ns: Annotated[Nanoseconds, Field(validation_alias="OLLAMA_KEEP_ALIVE")] = 300 * NANOSECONDS["s"]
    """How long a model stays loaded after its last request; 0 = not at all, negative = for ever."""
    load_timeout_ns: Annotated[Nanoseconds, Field(validation_alias="OLLAMA_LOAD_TIMEOUT")] = 300 * NANOSECONDS["s"]
    """How long a load may go on without progress; 0 or negative = for ever."""
    sched_spread: Annotated[Flag, Field(validation_alias="OLLAMA_SCHED_SPREAD")] = False
    """Spread every model over all GPUs of a machine instead of one."""
