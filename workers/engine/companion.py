"""A second thread for the host's work, so that it happens while llama.cpp computes.

The engine's own thread runs llama_decode, since what follows it (sampling, the next batch) must not wait for a thread
to wake up: on a virtual machine that costs 0.1 ms and more. The companion may take its time: the interpreter is free
during the decode. The two never touch the engine's state at once: `wait` comes before anything else is done.
"""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread


class Companion:
    """One piece of work at a time: `start` it, compute, `wait` for it."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        Thread(target=self._run, name="companion", daemon=True).start()

    def start(self, work: Callable[[], None]) -> None:
        self._work.put(work)

    def wait(self) -> None:
        """Returns when the work is done, which it nearly always is by now. Raises what it raised."""
        error = self._done.get()
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            work = self._work.get()
            try:
                work()
            except BaseException as error:
                self._done.put(error)
            else:
                self._done.put(None)
