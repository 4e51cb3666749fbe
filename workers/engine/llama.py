"""llama.cpp's C API as typed objects: the model, its vocabulary, and the context that generates (the one that embeds is
in `embedding_context`). Nothing else in Remuda's workers touches a raw pointer.

Source: llama.h of the pinned llama-cpp-python. ctypes releases the GIL during every call.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llama_cpp.llama_cpp as _untyped
import numpy as np
from numpy.typing import NDArray

C: Any = _untyped  # the bindings are only partly typed

KV_CACHE_TYPES = {
    "f32": "GGML_TYPE_F32",
    "f16": "GGML_TYPE_F16",
    "bf16": "GGML_TYPE_BF16",
    "q8_0": "GGML_TYPE_Q8_0",
    "q5_1": "GGML_TYPE_Q5_1",
    "q5_0": "GGML_TYPE_Q5_0",
    "q4_1": "GGML_TYPE_Q4_1",
    "q4_0": "GGML_TYPE_Q4_0",
}
ALL_LAYERS = -1
PIECE_BYTES = 256
"""Room for one token's text; longer ones are asked for again with the size that llama.cpp names."""


class LoadError(Exception):
    """The model or its context could not be made."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How to load the weights."""

    path: str
    gpu_layers: int = ALL_LAYERS
    main_gpu: int | None = None
    use_mmap: bool | None = None


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """How to make the context. `ctx_per_sequence` is in tokens; llama.cpp rounds it up to a multiple of 256."""

    sequences: int
    ctx_per_sequence: int
    batch_tokens: int
    threads: int
    flash_attention: bool | None = None
    kv_cache_type: str = "f16"


class Vocabulary:
    """Token ids and their bytes."""

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer
        self.size: int = C.llama_vocab_n_tokens(pointer)
        self.adds_bos: bool = C.llama_vocab_get_add_bos(pointer)
        self._pieces: list[bytes | None] = [None] * self.size
        self._buffer = ctypes.create_string_buffer(PIECE_BYTES)
        self.end_of_generation = frozenset(t for t in range(self.size) if C.llama_vocab_is_eog(pointer, t))

    def piece(self, token: int) -> bytes:
        """The bytes that `token` stands for: part of a UTF-8 character at times, empty for control tokens."""
        known = self._pieces[token]
        if known is None:
            known = self._pieces[token] = self._read_piece(token)
        return known

    def _read_piece(self, token: int) -> bytes:
        length = C.llama_token_to_piece(self.pointer, token, self._buffer, len(self._buffer), 0, False)
        if length < 0:
            self._buffer = ctypes.create_string_buffer(-length)
            length = C.llama_token_to_piece(self.pointer, token, self._buffer, len(self._buffer), 0, False)
        return self._buffer.raw[:length]


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
        value = self._metadata(f"{self._metadata('general.architecture')}.pooling_type")
        return int(value) if value else None

    def _metadata(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(PIECE_BYTES)
        C.llama_model_meta_val_str(self.pointer, key.encode(), buffer, len(buffer))
        return buffer.value.decode()


class Batch:
    """The input of one decode: parallel arrays, one entry for each row (token)."""

    def __init__(self, capacity: int) -> None:
        self.tokens: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.positions: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.sequences: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.wants_logits: NDArray[np.int8] = np.zeros(capacity, np.int8)
        self._one_sequence: NDArray[np.int32] = np.ones(capacity, np.int32)
        # llama.cpp wants a pointer to each row's list of sequences: ours are single entries of one array
        self._pointers = (self.sequences.ctypes.data + 4 * np.arange(capacity)).astype(np.uintp)
        self.struct = C.llama_batch(
            token=_pointer(self.tokens, ctypes.c_int32),
            pos=_pointer(self.positions, ctypes.c_int32),
            n_seq_id=_pointer(self._one_sequence, ctypes.c_int32),
            seq_id=ctypes.cast(self._pointers.ctypes.data, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
            logits=_pointer(self.wants_logits, ctypes.c_int8),
        )

    def fill(self, tokens: list[int], positions: list[int], sequences: list[int], wants_logits: list[int]) -> None:
        """Sets the rows of the next decode."""
        rows = len(tokens)
        self.tokens[:rows] = tokens
        self.positions[:rows] = positions
        self.sequences[:rows] = sequences
        self.wants_logits[:rows] = wants_logits
        self.struct.n_tokens = rows


class Context:
    """The KV cache and the compute buffers of one model: `sequences` streams of their own (not unified, so that a
    token attends to the cells of its own sequence only)."""

    def __init__(self, model: Model, options: ContextOptions) -> None:
        """Raises LoadError when there is not enough memory, or the options do not fit the model."""
        params = C.llama_context_default_params()
        params.n_ctx = options.sequences * _padded(options.ctx_per_sequence)
        params.n_seq_max = options.sequences
        params.n_batch = params.n_ubatch = options.batch_tokens
        params.n_outputs_max = options.sequences  # else room for the logits of every prompt token is made
        params.n_threads = params.n_threads_batch = options.threads
        params.flash_attn_type = flash_attention_type(options.flash_attention)
        params.type_k = params.type_v = _kv_cache_type(options.kv_cache_type)
        params.kv_unified = False
        params.swa_full = False
        params.no_perf = True
        self.pointer = C.llama_init_from_model(model.pointer, params)
        if not self.pointer:
            raise LoadError("llama.cpp could not make the context")
        self._memory = C.llama_get_memory(self.pointer)
        self._vocabulary_size = model.vocabulary.size
        # the same function with the address as a plain number, so that a view of it is made only when it has changed
        self._logits_address = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(("llama_get_logits", C._lib))
        self._logits_at: tuple[int, NDArray[np.float32]] = (0, np.empty((0, self._vocabulary_size), np.float32))
        self.batch_tokens = options.batch_tokens
        self.can_shift: bool = C.llama_memory_can_shift(self._memory)

    def decode(self, batch: Batch) -> int:
        """Computes the batch. 0 = done, 1 = no room in the KV cache, 2 = aborted, negative = failed."""
        return C.llama_decode(self.pointer, batch.struct)

    def logits(self, rows: int) -> NDArray[np.float32]:
        """The logits of the last decode: (rows that wanted logits, vocabulary), valid until the next one."""
        address = self._logits_address(self.pointer)
        if address != self._logits_at[0] or rows > len(self._logits_at[1]):
            pointer = ctypes.cast(address, ctypes.POINTER(ctypes.c_float))
            self._logits_at = address, np.ctypeslib.as_array(pointer, (rows, self._vocabulary_size))
        return self._logits_at[1][:rows]

    def keep(self, sequence: int, length: int) -> bool:
        """Cuts a sequence to its first `length` positions. False, and the sequence is empty, where the model's memory
        cannot be cut there (recurrent models, or a sliding window that has moved on)."""
        cut = C.llama_memory_seq_rm(self._memory, sequence, length, -1)
        if length == 0 or (cut and C.llama_memory_seq_pos_min(self._memory, sequence) == 0):
            return True
        C.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return False

    def copy(self, source: int, target: int) -> None:
        """Makes the target a copy of the source, computed at the next decode. Streams are copied whole."""
        C.llama_memory_seq_rm(self._memory, target, -1, -1)
        C.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def shift(self, sequence: int, start: int, end: int) -> None:
        """Drops positions [start, end) and moves what follows down to close the gap."""
        C.llama_memory_seq_rm(self._memory, sequence, start, end)
        C.llama_memory_seq_add(self._memory, sequence, end, -1, start - end)


def _pointer(array: NDArray[Any], kind: Any) -> Any:
    pointer_to: Any = ctypes.POINTER  # its generic type is lost on a kind that is a value
    return ctypes.cast(array.ctypes.data, pointer_to(kind))


def _padded(tokens: int) -> int:
    return (tokens + 255) // 256 * 256


def flash_attention_type(setting: bool | None) -> int:
    if setting is None:
        return C.LLAMA_FLASH_ATTN_TYPE_AUTO
    return C.LLAMA_FLASH_ATTN_TYPE_ENABLED if setting else C.LLAMA_FLASH_ATTN_TYPE_DISABLED


def _kv_cache_type(name: str) -> int:
    try:
        return getattr(C, KV_CACHE_TYPES[name.lower() or "f16"])
    except KeyError:
        raise LoadError(f"unknown OLLAMA_KV_CACHE_TYPE {name!r}: one of {', '.join(KV_CACHE_TYPES)}") from None
