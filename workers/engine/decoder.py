"""Runs llama_decode in a thread of its own, so that the host's work for one step happens while the next computes.

Always the same thread: llama.cpp's OpenMP workers belong to the thread that calls it.
"""

import time
from queue import SimpleQueue
from threading import Thread

from workers.engine.llama import Batch, Context


class Decoder:
    """One decode at a time: `start` it, do something else, `wait` for it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.elapsed_ns = 0
        """What the last decode took."""
        self._work: SimpleQueue[Batch] = SimpleQueue()
        self._done: SimpleQueue[int] = SimpleQueue()
        Thread(target=self._run, name="decoder", daemon=True).start()

    def start(self, batch: Batch) -> None:
        """Starts computing. The batch must not be touched until `wait` returns."""
        self._work.put(batch)

    def wait(self) -> int:
        """Waits for the started decode and returns llama_decode's result."""
        return self._done.get()

    def _run(self) -> None:
        while True:
            batch = self._work.get()
            began = time.monotonic_ns()
            result = self._context.decode(batch)
            self.elapsed_ns = time.monotonic_ns() - began
            self._done.put(result)
