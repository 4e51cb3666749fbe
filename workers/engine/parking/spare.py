"""Host memory for the next state to be parked, touched ahead of time.

The kernel clears memory when it is first touched. For a state of some hundred megabytes that takes longer than to copy
it, and all streams would wait.
"""

from concurrent.futures import Future, ThreadPoolExecutor

from workers.engine.memory import State, fresh_memory

PAGE = 4096

MAX_WASTE = 1.05
"""A state is put into memory of at most so many times its size."""

PATIENCE = 64
"""Smaller states in a row after which memory for a large one is given back."""


class Spare:
    """One piece of memory. Sizes are bytes."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "spare memory")
        self._memory: Future[State] | None = None
        self.size = 0
        self._too_large = 0  # for so many states in a row

    def expect(self, size: int) -> None:
        """Prepares memory for a state of that size, or keeps what was prepared for a larger one of late: of these the
        copies take long."""
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
        """Memory for a state: what was prepared, where that is ready and fits, else some that was never touched."""
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
