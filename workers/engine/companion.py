"""A second thread that does the host's work while llama.cpp computes.

The engine's own thread runs llama_decode, because sampling must not wait for a thread to wake up. On a virtual machine
that costs 0.1 ms and more. The companion is in no hurry: the decode leaves the interpreter free. The engine waits for
the companion after every decode, so the two threads never touch its state at once.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock, Thread

LISTEN_SECONDS = 0.02
"""Pause between two calls of `listen` in a long step. A cancelled prompt stops computing within it."""


class Companion:
    """One piece of work at a time: `start` it, compute, `wait` for it."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._listen: Callable[[], None] | None = None
        self._listening = Lock()
        self._failed: BaseException | None = None  # raised by `listen`
        Thread(target=self._run, name="companion", daemon=True).start()

    def start(self, work: Callable[[], None], listen: Callable[[], None] | None = None) -> None:
        """Runs `work`, then calls `listen` every LISTEN_SECONDS until `wait`."""
        self._listen = listen
        self._work.put(work)

    def wait(self) -> None:
        """Waits for the work, which is nearly always done by now. Raises what it or `listen` raised."""
        error = self._done.get()
        with self._listening:
            self._listen = None
            error, self._failed = error or self._failed, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            work = self._next()
            try:
                work()
            except BaseException as error:
                self._done.put(error)
            else:
                self._done.put(None)
            del work  # it holds a step's sequences

    def _next(self) -> Callable[[], None]:
        """Returns the next work, and listens while there is none."""
        while self._listen is not None:
            try:
                return self._work.get(timeout=LISTEN_SECONDS)
            except Empty:
                self._hear()
        return self._work.get()

    def _hear(self) -> None:
        with self._listening:
            if self._listen is None:
                return
            try:
                self._listen()
            except BaseException as error:
                self._failed, self._listen = error, None
