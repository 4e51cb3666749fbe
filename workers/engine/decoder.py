"""Runs llama_decode in a thread of its own, so that the host's work for one step happens while the next computes.

Always the same thread: llama.cpp's OpenMP workers belong to the thread that calls it.
"""

from queue import SimpleQueue
from threading import Thread

from workers.engine.llama import Batch, Context


class Decoder:
    """One decode at a time: `start` it, do something else, `wait` for it."""

    def __init__(self, context: Context) -> None:
        self._context = context
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
            self._done.put(self._context.decode(self._work.get()))
