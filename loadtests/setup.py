"""The setup that all contenders of a run share."""

from pydantic import BaseModel, ConfigDict

from remuda.settings import KvCacheType


class Setup(BaseModel):
    """The model and how to run it."""

    model_config = ConfigDict(frozen=True)

    model: str
    """Path of a GGUF file."""
    slots: int
    context: int
    """Tokens of each slot."""
    threads: int
    batch: int = 512
    """Tokens of one decode at most."""
    flash_attention: bool | None = None
    """None = llama.cpp decides."""
    kv_cache_type: KvCacheType = "f16"
