"""Reads the headers of GGUF files in a few threads of their own, where no other request waits for a thread.

Each version of a file is read once, however many ask, and what came of it is remembered: also why it was refused.
"""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from remuda.file_versions import FileVersion
from store.gguf.header import Gguf, read_gguf
from store.gguf.reader import InvalidGgufError


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file was refused."""

    reason: str


class Headers:
    """Remembers what came of the last `remembered` versions of files, headers without their arrays."""

    def __init__(self, threads: int, remembered: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "gguf")
        self._remembered = remembered
        self._outcomes: OrderedDict[FileVersion, Gguf | Refusal] = OrderedDict()
        self._readings: dict[FileVersion, asyncio.Task[Gguf | Refusal]] = {}

    async def read(self, version: FileVersion) -> Gguf:
        """Raises InvalidGgufError, OSError."""
        outcome = self._outcomes.get(version)
        if outcome is None:
            outcome = await asyncio.shield(self._reading(version))
        else:
            self._outcomes.move_to_end(version)
        if isinstance(outcome, Refusal):
            raise InvalidGgufError(outcome.reason)
        return outcome

    async def read_arrays(self, path: Path) -> Gguf:
        """The header with its arrays, which nobody remembers. Raises InvalidGgufError, OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: read_gguf(path, arrays=True))

    def _reading(self, version: FileVersion) -> asyncio.Task[Gguf | Refusal]:
        reading = self._readings.get(version)
        if reading is None:
            reading = self._readings[version] = asyncio.create_task(self._read(version))
            reading.add_done_callback(lambda ended: self._end(version, ended))
        return reading

    async def _read(self, version: FileVersion) -> Gguf | Refusal:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, read_gguf, version.path)
        except InvalidGgufError as error:
            return Refusal(str(error))

    def _end(self, version: FileVersion, reading: asyncio.Task[Gguf | Refusal]) -> None:
        del self._readings[version]
        if reading.cancelled() or reading.exception() is not None:
            return
        self._outcomes[version] = reading.result()
        if len(self._outcomes) > self._remembered:
            self._outcomes.popitem(last=False)
