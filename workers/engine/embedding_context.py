"""The embedding context: a second one on the same weights, so that vectors never disturb running generations.

Its cells are unified. With a stream per sequence llama.cpp may compute an input in several passes, but pooling needs
the whole input in one.
"""

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.engine.batch import Batch
from workers.engine.context import flash_attention_type
from workers.engine.llama import C, LoadError
from workers.engine.model import Model

MAX_SEQUENCES = 256
"""Inputs of one batch at most (llama.cpp's LLAMA_MAX_SEQ)."""


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """How to make the context. `num_ctx` and `batch_tokens` are in tokens."""

    num_ctx: int
    batch_tokens: int
    threads: int
    flash_attention: bool | None = None


class EmbeddingContext:
    """Computes the vectors of several inputs at once. Each input is a sequence."""

    def __init__(self, model: Model, options: EmbeddingOptions) -> None:
        """Raises LoadError when memory lacks."""
        # a recurrent model makes room for a state of every possible sequence
        self.sequences = 1 if model.recurrent else min(MAX_SEQUENCES, options.batch_tokens)
        self.batch_tokens = options.batch_tokens
        # a generating model gives the state of the last token: no other token attends to the whole input
        pooling = model.pooling or C.LLAMA_POOLING_TYPE_LAST
        params = C.llama_context_default_params()
        params.embeddings = True
        params.pooling_type = pooling
        # llama.cpp aborts over a batch that its sequences do not share evenly
        room = -(-options.batch_tokens // self.sequences) * self.sequences
        params.n_ctx = max(options.num_ctx, room)
        params.n_seq_max = self.sequences
        params.n_batch = params.n_ubatch = room
        params.n_threads = params.n_threads_batch = options.threads
        params.flash_attn_type = flash_attention_type(options.flash_attention)
        params.kv_unified = True
        params.no_perf = True
        with model.adapters_lock:
            self.pointer = C.llama_init_from_model(model.pointer, params)
        if not self.pointer:
            raise LoadError("llama.cpp could not make the context for embeddings")
        self._memory = C.llama_get_memory(self.pointer)
        is_encoder = bool(C.llama_model_has_encoder(model.pointer))
        self._compute = C.llama_encode if is_encoder else C.llama_decode
        is_ranking = pooling == C.LLAMA_POOLING_TYPE_RANK
        self._width: int = (C.llama_model_n_cls_out if is_ranking else C.llama_model_n_embd_out)(model.pointer)
        self.splits = pooling == C.LLAMA_POOLING_TYPE_LAST and bool(self._memory) and not is_encoder
        """Whether an input may be computed in several batches, one after the other."""

    def forget(self) -> None:
        """Empties the cells for new inputs."""
        if self._memory:
            C.llama_memory_clear(self._memory, False)

    def compute(self, batch: Batch) -> int:
        """Computes the batch, `batch_tokens` rows at most. 0 = done, anything else = failed."""
        return self._compute(self.pointer, batch.struct)

    def vector(self, sequence: int) -> NDArray[np.float32]:
        """Returns the pooled vector (width,) of a sequence, not normalised; a reranking model's scores. The sequence's
        last row must have been in the last batch."""
        pointer = C.llama_get_embeddings_seq(self.pointer, sequence)
        return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (self._width,)).copy()
