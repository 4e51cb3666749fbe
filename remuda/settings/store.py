"""Settings of the store."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from remuda.durations import NANOSECONDS
from remuda.settings.types import GIB, MIB, Digits, LenientSettings, OptionalFlag, Period, Positive, Unsigned

EMBEDDED_MODEL = str(Path(__file__).resolve().parents[2] / "models" / "cria.gguf")


class StoreSettings(LenientSettings):
    """The store reads these."""

    embedded_model: Annotated[str, Field(validation_alias="REMUDA_EMBEDDED_MODEL")] = EMBEDDED_MODEL
    """GGUF file that the store imports as `cria:latest` where no such model is installed; `none` = import nothing."""
    go_template: Annotated[OptionalFlag, Field(validation_alias="OLLAMA_GO_TEMPLATE")] = None
    """On: a model's Go template is preferred to its Jinja template. Off: it is never used. Unset: the template that can
    express more is used."""
    max_metadata: Annotated[Positive, Field(validation_alias="REMUDA_MAX_METADATA")] = 4 * MIB
    """Most bytes of a manifest, and of a model's config, texts, parameters and licenses together. A manifest of ten
    thousand layers takes 2 MB, all else of a model less than 200 KB."""
    gguf_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_GGUF_CACHE")] = 256
    """GGUF headers that the store keeps, about 200 KB each, and refused files; 0 = none. Reading one takes up to 0.2
    s."""
    gguf_threads: Annotated[Positive, Field(validation_alias="REMUDA_GGUF_THREADS")] = 2
    """Threads that read GGUF headers. Models whose headers are kept never wait for them."""
    watch_interval_ns: Annotated[Period, Field(validation_alias="REMUDA_WATCH_INTERVAL")] = 250 * NANOSECONDS["ms"]
    """How often the store looks whether files of models in use have changed. So long may a model be served on that
    another program has changed or removed; a look takes a few milliseconds for a hundred models."""
    trial_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_TRIAL_TIMEOUT")] = 30 * NANOSECONDS["s"]
    """Time for the trial of a vocabulary, in which the engine loads it in a process of its own. It takes a second, and
    longer from a cold disk."""
    trial_memory: Annotated[int, Field(ge=GIB // 2), Digits, Field(validation_alias="REMUDA_TRIAL_MEMORY")] = 2 * GIB
    """Bytes of address space of the trial process. The largest vocabularies take a tenth of it."""
