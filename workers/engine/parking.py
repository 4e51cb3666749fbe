"""KV states that have left the device: kept in host memory, the least recently used ones on disk, then dropped.

A state is parked when a newcomer takes the cells it lives in, when a running sequence has to make room, and, for models
whose memory cannot be cut, at points of a prompt that other prompts may share.
"""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from remuda.logs import get_logger
from workers.engine.memory import State
from workers.engine.spare import Spare

log = get_logger()

WRITES = 8
"""States that may wait for the disk: each keeps its memory until it is written."""


@dataclass(slots=True, eq=False)
class ParkedState:
    """The state after `tokens`, computed with `adapters`."""

    tokens: list[int]
    adapters: tuple[str, ...]
    state: State

    def covers(self, tokens: list[int], adapters: tuple[str, ...]) -> bool:
        """Whether this state is one of the same tokens, or of more after them."""
        return self.adapters == adapters and self.tokens[: len(tokens)] == tokens


class Parking:
    """Parked states, at most `memory_limit` bytes of them in memory."""

    def __init__(self, memory_limit: int, disk: "Disk | None" = None) -> None:
        self._limit = memory_limit
        self._disk = disk
        self._parked: list[ParkedState] = []  # least recently used first
        self._spare = Spare()

    def __iter__(self) -> Iterator[ParkedState]:
        yield from self._parked
        if self._disk is not None:
            yield from self._disk

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def enabled(self) -> bool:
        return self._limit > 0

    @property
    def bytes(self) -> int:
        """In memory."""
        return sum(parked.state.nbytes for parked in self._parked)

    def expect(self, size: int) -> None:
        """Prepares memory for a state of so many bytes that may be parked, where there is room for it."""
        if self.bytes + size <= self._limit:
            self._spare.expect(size)

    def room(self, size: int) -> State:
        """Memory for a state of so many bytes."""
        return self._spare.take(size)

    def park(self, new: ParkedState, *, cuttable: bool) -> None:
        """Keeps a state. Those that it makes superfluous go, and the ones used longest ago where there is no room."""
        if new.state.nbytes > self._limit:
            return
        self._parked = [old for old in self._parked if not _superfluous(old, new, cuttable=cuttable)]
        self._parked.append(new)
        if self._disk is not None:
            self._disk.drop(lambda old: _superfluous(old, new, cuttable=cuttable))
        if self.bytes + self._spare.size > self._limit:
            self._spare.forget()
        while self.bytes > self._limit:
            oldest = self._parked.pop(0)
            if self._disk is not None:
                self._disk.park(oldest)

    def touch(self, used: ParkedState) -> None:
        """Remembers that a state was of use."""
        if used in self._parked:
            self._parked.remove(used)
            self._parked.append(used)
        elif self._disk is not None:
            self._disk.touch(used)


class Disk:
    """Parked states in files without a name: they vanish with the process, however that ends. A thread writes them,
    reading is left to the page cache."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._thread = ThreadPoolExecutor(1, "parking")
        self._parked: list[ParkedState] = []  # least recently used first
        self._writing: list[Future[ParkedState]] = []

    def __iter__(self) -> Iterator[ParkedState]:
        self._collect()
        return iter(self._parked)

    def park(self, parked: ParkedState) -> None:
        """Writes a state; it can be used once that is done. It is lost where the disk does not keep up."""
        if len(self._writing) < WRITES:
            self._writing.append(self._thread.submit(self._write, parked))

    def drop(self, superfluous: Callable[[ParkedState], bool]) -> None:
        """Forgets states."""
        self._parked = [parked for parked in self if not superfluous(parked)]

    def touch(self, used: ParkedState) -> None:
        """Remembers that a state was of use."""
        if used in self._parked:
            self._parked.remove(used)
            self._parked.append(used)

    def _write(self, parked: ParkedState) -> ParkedState:
        file: BinaryIO
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.write(parked.state.data)
            file.flush()
            mapped = np.memmap(file, np.uint8, "r")
        return ParkedState(parked.tokens, parked.adapters, mapped)

    def _collect(self) -> None:
        """Takes what has been written. A write that failed (the disk is full) loses its state alone."""
        for writing in [writing for writing in self._writing if writing.done()]:
            self._writing.remove(writing)
            if (error := writing.exception()) is not None:
                log.warning("a prompt's state was not kept on disk", folder=str(self._folder), error=str(error))
            else:
                self._parked.append(writing.result())
        while sum(parked.state.nbytes for parked in self._parked) > self._limit:
            self._parked.pop(0)


def _superfluous(old: ParkedState, new: ParkedState, *, cuttable: bool) -> bool:
    """Whether `new` serves wherever `old` does: a longer state does so only where it can be cut."""
    return new.covers(old.tokens, old.adapters) and (cuttable or len(old.tokens) == len(new.tokens))
