"""What all contenders of a run have in common."""

from pydantic import BaseModel, ConfigDict

from remuda.settings import KvCacheType


class Setup(BaseModel):
    """The model's file and how it is run. `context` is tokens for each slot, `batch` tokens of one decode at most."""

    model_config = ConfigDict(frozen=True)

    model: str
    slots: int
    context: int
    threads: int
    batch: int = 512
    flash_attention: bool | None = None
    """None = llama.cpp decides."""
    kv_cache_type: KvCacheType = "f16"
