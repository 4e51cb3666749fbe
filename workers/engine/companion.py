"""A second thread for the host's work, so that it happens while llama.cpp computes.

The engine's own thread runs llama_decode, since what follows it (sampling, the next batch) must not wait for a thread
to wake up: on a virtual machine that costs 0.1 ms and more. The companion may take its time: the interpreter is free
during the decode. The two never touch the engine's state at once: `wait` comes before anything else is done.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock, Thread

LISTEN_SECONDS = 0.02
"""Pause between two looks for news in a long step: a cancelled prompt stops computing within it."""


class Companion:
    """One piece of work at a time: `start` it, compute, `wait` for it."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._listen: Callable[[], None] | None = None
        self._listening = Lock()
        self._failed: BaseException | None = None  # of listening
        Thread(target=self._run, name="companion", daemon=True).start()

    def start(self, work: Callable[[], None], listen: Callable[[], None] | None = None) -> None:
        """Begins `work`, and calls `listen` from time to time after it, until `wait`."""
        self._listen = listen
        self._work.put(work)

    def wait(self) -> None:
        """Returns when the work is done, which it nearly always is by now. Raises what it raised."""
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
        """The next work; listens while there is none."""
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
