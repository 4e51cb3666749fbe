"""Host memory for the next parked state, touched ahead of time.

The kernel clears memory at its first touch. For some hundred megabytes that takes longer than the copy of the state,
and all streams would wait.
"""

from concurrent.futures import Future, ThreadPoolExecutor

from workers.engine.memory import State, fresh_memory

PAGE = 4096

MAX_WASTE = 1.05
"""The prepared memory has at most so many times a state's size."""

PATIENCE = 64
"""Smaller states in a row before memory for a large one is given back."""


class Spare:
    """One piece of memory. Sizes are bytes."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "spare memory")
        self._memory: Future[State] | None = None
        self.size = 0
        self._too_large = 0  # states in a row for which the memory was too large

    def expect(self, size: int) -> None:
        """Prepares memory for a state of that size. Memory for a larger one stays for a while: large copies take
        longest."""
        self._too_large = self._too_large + 1 if self.size > MAX_WASTE * size else 0
        if size > self.size or self._too_large > PATIENCE:
            self.forget()
            self._memory, self.size = self._thread.submit(_touched, size), size

    def forget(self) -> None:
        """Gives the memory back."""
        if self._memory is not None:
            self._memory.cancel()
        self._memory, self.size, self._too_large = None, 0, 0

    def take(self, size: int) -> State:
        """Returns the prepared memory if it is ready and fits, else untouched memory."""
        if self._memory is None or not self._memory.done() or not self._fits(size):
            return fresh_memory(size)
        memory = self._memory.result()
        self.forget()
        return memory[:size]

    def _fits(self, size: int) -> bool:
        return size <= self.size <= MAX_WASTE * size


def _touched(size: int) -> State:
    memory = fresh_memory(size)
    memory[::PAGE] = 0
    return memory
