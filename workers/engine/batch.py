"""The input of one decode."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.engine.llama import C


class Batch:
    """Parallel arrays with one entry for each row (token)."""

    def __init__(self, capacity: int, state_size: int = 0) -> None:
        """With a `state_size`, each row has a hidden state of so many numbers beside its token."""
        self.tokens: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.positions: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.sequences: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.wants_logits: NDArray[np.int8] = np.zeros(capacity, np.int8)
        self.states: NDArray[np.float32] = np.zeros((capacity, state_size), np.float32)
        self._one_sequence: NDArray[np.int32] = np.ones(capacity, np.int32)
        # llama.cpp takes a pointer to each row's list of sequences: ours has one entry, in one array for all rows
        self._pointers = (self.sequences.ctypes.data + 4 * np.arange(capacity)).astype(np.uintp)
        self.struct = C.llama_batch(
            token=pointer_to(self.tokens, ctypes.c_int32),
            pos=pointer_to(self.positions, ctypes.c_int32),
            n_seq_id=pointer_to(self._one_sequence, ctypes.c_int32),
            seq_id=ctypes.cast(self._pointers.ctypes.data, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
            logits=pointer_to(self.wants_logits, ctypes.c_int8),
        )
        if state_size:
            self.struct.embd = pointer_to(self.states, ctypes.c_float)

    def fill(self, tokens: list[int], positions: list[int], sequences: list[int], wants_logits: list[int]) -> None:
        """Sets the rows of the next decode."""
        rows = len(tokens)
        self.tokens[:rows] = tokens
        self.positions[:rows] = positions
        self.sequences[:rows] = sequences
        self.wants_logits[:rows] = wants_logits
        self.struct.n_tokens = rows


def pointer_to(array: NDArray[Any], kind: Any) -> Any:
    """Returns a C pointer to an array's memory. The array must outlive it."""
    pointer_type: Any = ctypes.POINTER  # pyright cannot apply its generic type to a value
    return ctypes.cast(array.ctypes.data, pointer_type(kind))
