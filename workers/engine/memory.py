"""The memory of a context: its KV cache, or a recurrent model's states. All lengths are in positions."""

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.engine.llama import C

State = NDArray[np.uint8]


def fresh_memory(size: int) -> State:
    """Allocates memory for a state of so many bytes."""
    return np.empty(size, np.uint8)


class Memory:
    """The memory of all sequences of one context."""

    def __init__(self, context: Any, *, recurrent: bool, window: int) -> None:
        """`window` is in tokens, 0 = there is none."""
        self._context = context
        self._pointer = C.llama_get_memory(context)
        self._window = window
        self.cuttable = not recurrent and not window
        """Whether any prefix of a sequence can be kept. A recurrent or hybrid model keeps whole sequences only. A
        sliding window can be cut while the sequence lies within it."""
        snapshots: int = C.llama_n_rs_seq(context)
        self._keeps_states = recurrent or snapshots > 0
        self.rollback = snapshots if self._keeps_states else sys.maxsize
        """How many tokens of a sequence's last decode can be taken back."""
        self.can_shift: bool = C.llama_memory_can_shift(self._pointer)
        self._rolled_back: dict[int, int] = {}  # length of each sequence that went back to a snapshot
        self.copying: set[int] = set()
        """Sources and targets of copies that the next decode makes. Until then they cannot be saved or restored."""
        self.shifting = False
        """Whether the next decode first rotates cells to new positions. It must not be aborted then."""

    def usable(self, common: int, held: int) -> int:
        """Returns how many of `held` tokens in memory serve a sequence that shares the first `common` of them."""
        in_window = not self._keeps_states and held <= self._window
        return common if self.cuttable or common == held or in_window else 0

    def keep(self, sequence: int, length: int) -> bool:
        """Cuts a sequence to its first `length` positions. Returns False, with the sequence empty, when that fails."""
        if length == 0:
            C.llama_memory_seq_rm(self._pointer, sequence, -1, -1)
            return True
        if self._length(sequence) == length:
            return True
        # llama.cpp would cut a state to any of its snapshots, even to one from before the last decode
        if not self._keeps_states and C.llama_memory_seq_rm(self._pointer, sequence, length, -1):
            oldest = max(length - self._window, 0) if self._window else 0
            if 0 <= C.llama_memory_seq_pos_min(self._pointer, sequence) <= oldest:
                return True
        C.llama_memory_seq_rm(self._pointer, sequence, -1, -1)
        return False

    def roll_back(self, sequence: int, length: int) -> bool:
        """Cuts positions of the last decode, `rollback` at most, down to `length`. Returns False, with the sequence
        empty, when that fails."""
        if not self._keeps_states or self._length(sequence) == length:
            return self.keep(sequence, length)
        if C.llama_memory_seq_rm(self._pointer, sequence, length, -1):
            self._rolled_back[sequence] = length
            return True
        C.llama_memory_seq_rm(self._pointer, sequence, -1, -1)
        return False

    def copy(self, source: int, target: int) -> bool:
        """Makes the target a copy of the source. Streams are copied whole; shared cells are only marked.

        Returns False, with the target empty, when the copy is impossible before the next decode.
        """
        if self._is_rolled_back(source):
            # llama.cpp's copy ignores the snapshot that a rollback chose; a saved state has it
            state = self.save(source)
            if state is not None:
                return self.restore(target, state)
            self.keep(target, 0)
            return False
        C.llama_memory_seq_rm(self._pointer, target, -1, -1)
        C.llama_memory_seq_cp(self._pointer, source, target, -1, -1)
        self.copying |= {source, target}
        return True

    def shift(self, sequence: int, start: int, end: int) -> None:
        """Drops positions [start, end) and moves what follows down to close the gap."""
        rolled_back = self._is_rolled_back(sequence)
        C.llama_memory_seq_rm(self._pointer, sequence, start, end)
        C.llama_memory_seq_add(self._pointer, sequence, end, -1, start - end)
        self.shifting = True
        if rolled_back:
            self._rolled_back[sequence] = self._length(sequence)

    def decoded(self) -> None:
        """Marks all copies and shifts as made. Called after every decode."""
        self.copying.clear()
        self.shifting = False

    def state_size(self, sequence: int) -> int:
        """Returns the bytes of the sequence's state."""
        return C.llama_state_seq_get_size(self._context, sequence)

    def save(self, sequence: int, room: Callable[[int], State | None] = fresh_memory) -> State | None:
        """Saves the sequence's state in host memory. `room` returns memory for a size, or None to refuse.

        Returns None when it is refused, or impossible before the next decode.
        """
        if sequence in self.copying:
            return None
        size = self.state_size(sequence)
        state = room(size)
        if state is None:
            return None
        written = C.llama_state_seq_get_data(self._context, _bytes_of(state), size, sequence)
        return state if written == size else None

    def restore(self, sequence: int, state: State) -> bool:
        """Replaces a sequence by a saved state. Returns False, with the sequence empty, when that fails."""
        C.llama_memory_seq_rm(self._pointer, sequence, -1, -1)
        if sequence in self.copying:
            return False
        return C.llama_state_seq_set_data(self._context, _bytes_of(state), state.nbytes, sequence) > 0

    def _is_rolled_back(self, sequence: int) -> bool:
        """Whether the sequence was rolled back, without a token since."""
        return self._rolled_back.get(sequence) == self._length(sequence)

    def _length(self, sequence: int) -> int:
        return C.llama_memory_seq_pos_max(self._pointer, sequence) + 1


def _bytes_of(state: State) -> Any:
    return ctypes.cast(state.ctypes.data, ctypes.POINTER(ctypes.c_uint8))
