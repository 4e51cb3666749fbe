"""Loaded weights."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workers.engine.llama import C, LoadError
from workers.engine.vocabulary import Vocabulary

ALL_LAYERS = -1
VALUE_BYTES = 256
"""Room for one value of the model's metadata, of those that are asked for."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How to load the weights."""

    path: str
    gpu_layers: int = ALL_LAYERS
    main_gpu: int | None = None
    use_mmap: bool | None = None


class Model:
    """Loaded weights."""

    def __init__(self, options: ModelOptions, on_progress: Callable[[float], None]) -> None:
        """Raises LoadError when llama.cpp cannot load the file; its log says why."""
        C.llama_backend_init()
        params = C.llama_model_default_params()
        params.n_gpu_layers = options.gpu_layers
        if options.main_gpu is not None:
            params.main_gpu = options.main_gpu
        if options.use_mmap is not None:
            params.load_mode = C.LLAMA_LOAD_MODE_MMAP if options.use_mmap else C.LLAMA_LOAD_MODE_NONE

        def progressed(fraction: float, _: Any) -> bool:
            on_progress(fraction)
            return True

        callback = C.llama_progress_callback(progressed)
        params.progress_callback = callback
        self.pointer = C.llama_model_load_from_file(options.path.encode(), params)
        if not self.pointer:
            raise LoadError("llama.cpp could not load the model")
        self.vocabulary = Vocabulary(C.llama_model_get_vocab(self.pointer))
        self.size: int = C.llama_model_size(self.pointer)
        self.pooling = self._pooling()

    def _pooling(self) -> int | None:
        """How the model makes one vector of its tokens' (llama_pooling_type); None = it is made to generate."""
        value = self.metadata(f"{self.metadata('general.architecture')}.pooling_type")
        return int(value) if value else None

    def metadata(self, key: str) -> str:
        """A value of the GGUF's metadata as text; empty where there is none."""
        buffer = ctypes.create_string_buffer(VALUE_BYTES)
        C.llama_model_meta_val_str(self.pointer, key.encode(), buffer, len(buffer))
        return buffer.value.decode()
