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
    max_metadata: Annotated[Positive, Field(validation_alias="REMUDA_MAX_METADATA")] = 16 * MIB
    """Most bytes of a manifest, template, parameters or license. A manifest of ten thousand layers takes 2 MB."""
    gguf_cache: Annotated[Unsigned, Field(validation_alias="REMUDA_GGUF_CACHE")] = 256
    """GGUF headers that the store keeps, about 200 KB each; 0 = none. Reading one takes up to 0.1 s."""
    trial_timeout_ns: Annotated[Period, Field(validation_alias="REMUDA_TRIAL_TIMEOUT")] = 30 * NANOSECONDS["s"]
    """Time for the trial of a vocabulary, in which the engine loads it in a process of its own. It takes a second, and
    longer from a cold disk."""
    trial_memory: Annotated[int, Field(ge=GIB // 2), Digits, Field(validation_alias="REMUDA_TRIAL_MEMORY")] = 2 * GIB
    """Bytes of address space of the trial process. The largest vocabularies take a tenth of it."""
