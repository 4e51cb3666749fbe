"""Parked states on disk, for which host memory has no room."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np

from remuda.logs import get_logger
from workers.engine.parking.parked_state import ParkedState
from workers.engine.parking.parked_states import ParkedPrefix, ParkedStates, Usable

log = get_logger()

WRITES = 8
"""States that may wait for the disk. Each keeps its memory until it is written."""


class Disk:
    """Parked states in files without a name, which vanish with the process however it ends. A thread writes the files;
    the page cache serves the reads."""

    def __init__(self, folder: Path, limit: int) -> None:
        """The files have at most `limit` bytes."""
        self._folder = folder
        self._limit = limit
        self._thread = ThreadPoolExecutor(1, "parking")
        self._states = ParkedStates()
        self._writing: list[Future[ParkedState]] = []

    def __iter__(self) -> Iterator[ParkedState]:
        return iter(self._written())

    def __len__(self) -> int:
        return len(self._written())

    def park(self, parked: ParkedState) -> None:
        """Writes a state, which can be used after that. It is lost if too many wait for the disk."""
        if parked.state.nbytes <= self._limit and len(self._writing) < WRITES:
            self._writing.append(self._thread.submit(self._write, parked))

    def drop_served_by(self, new: ParkedState, *, cuttable: bool) -> None:
        """Drops the states that `new` makes superfluous."""
        self._written().drop_served_by(new, cuttable=cuttable)

    def find(self, tokens: list[int], adapters: tuple[str, ...], usable: Usable) -> ParkedPrefix:
        """Returns the state that saves most of these tokens."""
        return self._written().find(tokens, adapters, usable)

    def touch(self, used: ParkedState) -> None:
        """Marks a state as just used."""
        if used in self._states:
            self._states.touch(used)

    def _write(self, parked: ParkedState) -> ParkedState:
        file: BinaryIO
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.write(parked.state.data)
            file.flush()
            mapped = np.memmap(file, np.uint8, "r")
        return ParkedState(parked.tokens, parked.adapters, mapped)

    def _written(self) -> ParkedStates:
        """Returns all usable states. A failed write (the disk is full) loses its own state only."""
        for writing in [writing for writing in self._writing if writing.done()]:
            self._writing.remove(writing)
            if (error := writing.exception()) is not None:
                log.warning("a prompt's state was not kept on disk", folder=str(self._folder), error=str(error))
            else:
                self._states.add(writing.result())
        while self._states.bytes > self._limit:
            self._states.pop_oldest()
        return self._states
