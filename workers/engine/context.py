"""The generating context: KV cache and compute buffers. `embedding_context` has the embedding one."""

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from remuda.settings import KvCacheType
from workers.engine.abort import AbortFlag
from workers.engine.batch import Batch
from workers.engine.llama import C, LoadError
from workers.engine.memory import Memory
from workers.engine.model import Model

GGML_TYPE_BF16 = 30
"""ggml.h's number, which the bindings lack."""
KV_CACHE_TYPES: Mapping[KvCacheType, int] = {
    "f32": C.GGML_TYPE_F32,
    "f16": C.GGML_TYPE_F16,
    "bf16": GGML_TYPE_BF16,
    "q8_0": C.GGML_TYPE_Q8_0,
    "q5_1": C.GGML_TYPE_Q5_1,
    "q5_0": C.GGML_TYPE_Q5_0,
    "q4_1": C.GGML_TYPE_Q4_1,
    "q4_0": C.GGML_TYPE_Q4_0,
    "iq4_nl": C.GGML_TYPE_IQ4_NL,
}


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """How to make the context.

    `shared_cells` = 0 gives each sequence a KV stream of its own: a token attends to its own sequence alone.
    Otherwise all sequences share so many cells (tokens). That takes memory only for cells in use, but every token looks
    at all cells, and the cells can run out.
    """

    sequences: int
    ctx_per_sequence: int  # tokens; llama.cpp rounds them up to a multiple of 256
    batch_tokens: int
    threads: int
    flash_attention: bool | None = None
    kv_cache_type: KvCacheType = "f16"
    shared_cells: int = 0
    draft_rows: int = 0  # rows of a batch with logits, beyond one for each sequence
    snapshots: int = 0  # states that a recurrent model keeps of each sequence beyond the last one
    heads: bool = False  # runs the model's multi-token prediction heads instead of the model


class Context:
    """The KV cache and the compute buffers of one model."""

    def __init__(self, model: Model, options: ContextOptions) -> None:
        """Raises LoadError when memory lacks or the options do not fit the model."""
        params = C.llama_context_default_params()
        params.n_ctx = options.shared_cells or options.sequences * _padded(options.ctx_per_sequence)
        params.n_seq_max = options.sequences
        self.batch_tokens = min(options.batch_tokens, params.n_ctx)
        """Rows of a batch at most: no more than there are cells."""
        params.n_batch = params.n_ubatch = self.batch_tokens
        # otherwise llama.cpp makes room for the logits of every prompt token
        params.n_outputs_max = min(options.sequences + options.draft_rows, self.batch_tokens)
        # llama.cpp asserts that a batch can hold more tokens than it keeps snapshots
        params.n_rs_seq = max(min(options.snapshots, self.batch_tokens - 2), 0)
        params.n_threads = params.n_threads_batch = options.threads
        params.flash_attn_type = flash_attention_type(options.flash_attention)
        params.type_k = params.type_v = KV_CACHE_TYPES[options.kv_cache_type]
        params.kv_unified = options.shared_cells > 0
        params.swa_full = False
        params.no_perf = True
        if options.heads:
            params.ctx_type = C.LLAMA_CONTEXT_TYPE_MTP
        with model.adapters_lock:
            self.pointer = C.llama_init_from_model(model.pointer, params)
        if not self.pointer:
            raise LoadError("llama.cpp could not make the context")
        self.outputs: int = params.n_outputs_max
        """Rows of a batch that can have logits."""
        self.shares_cells = options.shared_cells > 0
        # heads have attention layers only
        self.memory = Memory(self.pointer, recurrent=model.recurrent and not options.heads, window=model.window)
        self._vocabulary_size = model.vocabulary.size
        # the same function, with its result as a plain number: a new view is made only when the address changes
        self._logits_address = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(("llama_get_logits", C._lib))
        self._logits_at: tuple[int, NDArray[np.float32]] = (0, np.empty((0, self._vocabulary_size), np.float32))
        self._abort = AbortFlag(self.pointer)

    def decode(self, batch: Batch) -> int:
        """Computes the batch. 0 = done, 1 = no room in the KV cache, 2 = aborted, negative = failed."""
        return self.compute(lambda: C.llama_decode(self.pointer, batch.struct))

    def compute(self, decode: Callable[[], int]) -> int:
        """Runs any function that decodes in this context, until the device is done. Results are those of `decode`."""
        self._abort.lower()
        result = decode()
        C.llama_synchronize(self.pointer)  # before this call a GPU may still compute
        self.memory.decoded()
        return result

    def abort(self) -> None:
        """Aborts the running decode at its next node of the graph, unless that would do harm. Called from another
        thread."""
        if not self.memory.shifting:
            self._abort.raise_()

    def logits(self, rows: int) -> NDArray[np.float32]:
        """The logits of the last decode: (rows that wanted logits, vocabulary), valid until the next one."""
        address = self._logits_address(self.pointer)
        if address != self._logits_at[0] or rows > len(self._logits_at[1]):
            pointer = ctypes.cast(address, ctypes.POINTER(ctypes.c_float))
            self._logits_at = address, np.ctypeslib.as_array(pointer, (rows, self._vocabulary_size))
        return self._logits_at[1][:rows]


def _padded(tokens: int) -> int:
    return (tokens + 255) // 256 * 256


def flash_attention_type(setting: bool | None) -> int:
    if setting is None:
        return C.LLAMA_FLASH_ATTN_TYPE_AUTO
    return C.LLAMA_FLASH_ATTN_TYPE_ENABLED if setting else C.LLAMA_FLASH_ATTN_TYPE_DISABLED
