"""Tries each model's vocabulary once, in a process of its own, before a gateway loads it."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import orjson

from remuda import file_versions
from remuda.file_versions import FileVersion
from remuda.logs import get_logger
from remuda.sandbox.pool import ProcessDiedError, Sandbox, SandboxError, SandboxPool, TookTooLongError
from remuda.settings import Settings
from remuda.v1 import store_pb2 as pb
from store.errors import CorruptModelError, UnavailableError

log = get_logger()

REMEMBERED = 1024
"""Results kept at most. One is a few hundred bytes."""
PROCESSES = 2
"""Beside a vocabulary that takes all the time there is, others are still tried."""
WAITING = 64
"""Trials that wait at most. Each takes about a second, so the last one waits half a minute, and its gateway longer."""
DOUBT_S = 300.0
"""How long a result is believed that a time-out led to. It may tell of a busy machine or a cold disk, and not of the
file; yet a file that does take too long must not have its process taken by every request."""

Version = tuple[FileVersion, ...]
"""Of each file of a model."""


def version_of(files: Sequence[str]) -> Version:
    """The present version of a model's files. Blocks. Raises CorruptModelError where one is missing, OSError."""
    return tuple(map(_file_version, files))


class Trials:
    """The results of all trials, refusals included, unless they say nothing about the file."""

    def __init__(self, settings: Settings) -> None:
        self._length = settings.tokenize_inline
        self._pool = SandboxPool(
            Sandbox(
                module="store.trial.sandbox",
                memory=settings.trial_memory,
                arguments=(),
                niceness=0,
                processes=PROCESSES,
                waiting=WAITING,
                timeout_ns=settings.trial_timeout_ns,
                start_timeout_ns=settings.start_timeout_ns,
            )
        )
        self._results: OrderedDict[Version, asyncio.Task[pb.Vocabulary]] = OrderedDict()

    def start(self) -> None:
        """Starts a process in the background, ahead of the first model."""
        self._pool.start()

    async def close(self) -> None:
        """Ends the processes."""
        await self._pool.close()

    async def vocabulary(self, version: Version) -> pb.Vocabulary:
        """What is known of a model's vocabulary.

        Raises CorruptModelError where the engine cannot load it, UnavailableError where it cannot be tried now.
        """
        trial = self._results.get(version)
        if trial is None:
            trial = self._results[version] = asyncio.create_task(self._try(version))
            trial.add_done_callback(lambda done: self._forget_accident(version, done))
        self._results.move_to_end(version)
        if len(self._results) > REMEMBERED:
            self._results.popitem(last=False)
        return await asyncio.shield(trial)

    async def _try(self, version: Version) -> pb.Vocabulary:
        try:
            return await self._vocabulary(version)
        except SandboxError as error:
            log.warning("a vocabulary cannot be tried", model=str(version[0].path), error=repr(error))
            raise UnavailableError("the store cannot try the model's vocabulary now") from None

    async def _vocabulary(self, version: Version) -> pb.Vocabulary:
        """A vocabulary that loads but dies of a text is fragile. Raises SandboxError where it could not be tried."""
        try:
            return await self._ask(version, self._length)
        except (ProcessDiedError, TookTooLongError) as error:
            log.warning("a text was too much for a vocabulary", model=str(version[0].path), error=repr(error))
        try:
            vocabulary = await self._ask(version, 0)
        except ProcessDiedError:
            raise _unusable("the engine dies of it") from None
        except TookTooLongError:
            raise _unusable("it takes too long to load") from None
        vocabulary.fragile = True
        return vocabulary

    async def _ask(self, version: Version, length: int) -> pb.Vocabulary:
        question = {"files": [str(file.path) for file in version], "length": length}
        try:
            answer = orjson.loads(await self._pool.ask(orjson.dumps(question)))
        except TookTooLongError:
            asyncio.get_running_loop().call_later(DOUBT_S, self._results.pop, version, None)
            raise
        if "error" in answer:
            raise _unusable(answer["error"])
        return pb.Vocabulary(longest_token=answer["longest_token"])

    def _forget_accident(self, version: Version, trial: "asyncio.Task[pb.Vocabulary]") -> None:
        """Forgets a trial that says nothing about the model."""
        if trial.cancelled() or not isinstance(trial.exception(), CorruptModelError | None):
            self._results.pop(version, None)


def _unusable(reason: str) -> CorruptModelError:
    return CorruptModelError(f"unable to load model: its vocabulary cannot be used: {reason}")


def _file_version(path: str) -> FileVersion:
    try:
        return file_versions.version_of(Path(path))
    except FileNotFoundError:
        raise CorruptModelError(f"blob {Path(path).name} is missing") from None
