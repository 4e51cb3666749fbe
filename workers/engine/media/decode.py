"""Puts encoded media into the KV cache."""

import ctypes
from typing import Any

import numpy as np

from workers.engine.batch import pointer_to
from workers.engine.llama import C
from workers.engine.media.prompt import MediaSpan


def decode_cells(context: Any, span: MediaSpan, cells: range, position: int, sequence: int) -> int:
    """Computes some cells of a span, without logits. 0 = done, 1 = no room in the KV cache, 2 = aborted, negative =
    failed.

    `context` is llama.cpp's pointer, `cells` the places in the span, `position` llama.cpp's position of its start. The
    cells must fit into one batch; a `whole` chunk needs all of them at once.
    """
    chunk, count = span.chunk, len(cells)
    places = np.ascontiguousarray(chunk.places.at(position)[:, cells.start : cells.stop])
    sequences, ones, no_logits = np.full(count, sequence, np.int32), np.ones(count, np.int32), np.zeros(count, np.int8)
    lists = (sequences.ctypes.data + 4 * np.arange(count)).astype(np.uintp)
    batch = C.llama_batch(
        n_tokens=count,
        embd=pointer_to(chunk.embeddings[cells.start :], ctypes.c_float),
        pos=pointer_to(places, ctypes.c_int32),
        n_seq_id=pointer_to(ones, ctypes.c_int32),
        seq_id=ctypes.cast(lists.ctypes.data, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        logits=pointer_to(no_logits, ctypes.c_int8),
    )
    if not chunk.whole:
        return C.llama_decode(context, batch)
    C.llama_set_causal_attn(context, False)
    try:
        return C.llama_decode(context, batch)
    finally:
        C.llama_set_causal_attn(context, True)
