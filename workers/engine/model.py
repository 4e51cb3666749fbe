"""Loaded weights."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from workers.engine.llama import C, LoadError
from workers.engine.vocabulary import Vocabulary

ALL_LAYERS = -1
VALUE_BYTES = 256
"""Room for one value of the model's metadata."""

SPLIT_MODES = {
    "none": "LLAMA_SPLIT_MODE_NONE",
    "layer": "LLAMA_SPLIT_MODE_LAYER",
    "row": "LLAMA_SPLIT_MODE_ROW",
    "tensor": "LLAMA_SPLIT_MODE_TENSOR",
}
NUMA_STRATEGIES = {
    "off": "GGML_NUMA_STRATEGY_DISABLED",
    "distribute": "GGML_NUMA_STRATEGY_DISTRIBUTE",
    "isolate": "GGML_NUMA_STRATEGY_ISOLATE",
    "numactl": "GGML_NUMA_STRATEGY_NUMACTL",
    "mirror": "GGML_NUMA_STRATEGY_MIRROR",
}


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How to load the weights. RoPE settings and the like come from the GGUF file alone."""

    path: str
    split_paths: tuple[str, ...] = ()
    """The other files of a split model, in order."""
    gpu_layers: int = ALL_LAYERS
    split_mode: str = "none"
    """How the model spreads over the GPUs that this process sees: one of SPLIT_MODES."""
    tensor_split: tuple[float, ...] = ()
    """Proportions on these GPUs; empty = by their free memory."""
    use_mmap: bool | None = None
    mlock: bool = False
    direct_io: bool = False
    heads: bool = False
    """Whether to load the multi-token prediction heads, too. The files must have them: see `has_heads`."""
    no_alloc: bool = False
    """Whether to read no weights and allocate no memory for them. Contexts then have no KV cache, but tell sizes."""


class Model:
    """Loaded weights."""

    def __init__(self, options: ModelOptions, on_progress: Callable[[float], None]) -> None:
        """Raises LoadError when llama.cpp cannot load the file; its log says why."""
        C.llama_backend_init()
        params = _params(options)

        def progressed(fraction: float, _: Any) -> bool:
            on_progress(fraction)
            return True

        params.progress_callback = C.llama_progress_callback(progressed)
        self.pointer = _load([options.path, *options.split_paths], params)
        if not self.pointer:
            raise LoadError("llama.cpp could not load the model")
        self.vocabulary = Vocabulary(C.llama_model_get_vocab(self.pointer))
        self.heads: int = C.llama_model_n_layer_nextn(self.pointer) if options.heads else 0
        """Loaded multi-token prediction heads."""
        self.state_size: int = C.llama_model_n_embd_out(self.pointer)
        """Numbers in a hidden state, the input of heads."""
        self.size: int = C.llama_model_size(self.pointer)
        self.pooling = self._pooling()
        self.recurrent: bool = C.llama_model_is_recurrent(self.pointer) or C.llama_model_is_hybrid(self.pointer)
        self.window: int = C.llama_model_n_swa(self.pointer)
        """Tokens in the sliding window of layers that have one; 0 = none has."""
        self.adapters_lock = Lock()
        """Guards llama.cpp's list of the model's LoRA adapters. Loading changes it, planning a graph reads it, and
        llama.cpp has no lock of its own."""

    def _pooling(self) -> int | None:
        """How the model pools its tokens' vectors (llama_pooling_type); None = a generating model."""
        value = self.metadata(f"{self.metadata('general.architecture')}.pooling_type")
        return int(value) if value else None

    def metadata(self, key: str) -> str:
        """Returns a value of the GGUF's metadata as text; empty = it is missing."""
        buffer = ctypes.create_string_buffer(VALUE_BYTES)
        C.llama_model_meta_val_str(self.pointer, key.encode(), buffer, len(buffer))
        return buffer.value.decode()


def use_numa(strategy: str) -> None:
    """Sets llama.cpp's strategy on a NUMA machine, one of NUMA_STRATEGIES. Called once, before the first load."""
    C.llama_backend_init()
    C.llama_numa_init(getattr(C, NUMA_STRATEGIES[strategy]))


def _params(options: ModelOptions) -> Any:
    """Raises LoadError."""
    params = C.llama_model_default_params()
    params.n_gpu_layers = options.gpu_layers
    params.split_mode = getattr(C, SPLIT_MODES[options.split_mode])
    params.load_mode = load_mode(options)
    params.load_mtp = options.heads
    params.no_alloc = options.no_alloc
    if options.tensor_split:
        params.tensor_split = _tensor_split(options.tensor_split)
    return params


def load_mode(options: ModelOptions) -> int:
    """Returns llama.cpp's load_mode. A model's own `use_mmap` goes before the settings: mmap excludes direct I/O.

    llama.cpp asserts that it maps nothing where it allocates nothing.
    """
    if options.no_alloc:
        return C.LLAMA_LOAD_MODE_NONE
    if options.mlock:
        return C.LLAMA_LOAD_MODE_MLOCK if options.use_mmap is False else C.LLAMA_LOAD_MODE_MMAP_MLOCK
    if options.direct_io and not options.use_mmap:
        return C.LLAMA_LOAD_MODE_DIRECT_IO
    if options.use_mmap is None:
        return C.LLAMA_LOAD_MODE_AUTO
    return C.LLAMA_LOAD_MODE_MMAP if options.use_mmap else C.LLAMA_LOAD_MODE_NONE


def _tensor_split(proportions: tuple[float, ...]) -> "ctypes.Array[ctypes.c_float]":
    """Makes llama.cpp's array of proportions, one for every possible device."""
    room: int = C.llama_max_devices()
    if len(proportions) > room:
        raise LoadError(f"a tensor split of {len(proportions)} parts: llama.cpp takes {room}")
    return (ctypes.c_float * room)(*proportions)


def _load(paths: list[str], params: Any) -> Any:
    """Returns the loaded model, None when llama.cpp fails. It gets all files of a split model, because it cannot derive
    the names of blobs."""
    if len(paths) == 1:
        return C.llama_model_load_from_file(paths[0].encode(), params)
    names = (ctypes.c_char_p * len(paths))(*(path.encode() for path in paths))
    return C.llama_model_load_from_splits(names, len(paths), params)
