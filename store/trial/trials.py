"""Tries each model's vocabulary once, in a process of its own, before a gateway loads it."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import orjson

from remuda.logs import get_logger
from remuda.sandbox.pool import ProcessDiedError, Sandbox, SandboxPool, TookTooLongError
from remuda.settings import Settings
from remuda.v1 import store_pb2 as pb
from store.errors import CorruptModelError

log = get_logger()

REMEMBERED = 1024
"""Results kept at most. One is a few hundred bytes."""
UNBOUNDED = 1 << 31
"""Questions that may wait: there are no more than models on the disk."""

Version = tuple[tuple[str, int, int], ...]
"""Path, size in bytes and time of each file of a model."""


def version_of(bundle: pb.Bundle) -> Version:
    """The present version of a model's files. Blocks. Raises OSError."""
    return tuple(_file_version(path) for path in (bundle.model_path, *bundle.split_paths))


class Trials:
    """The results of all trials, refusals included."""

    def __init__(self, settings: Settings) -> None:
        self._length = settings.tokenize_inline
        self._pool = SandboxPool(
            Sandbox(
                module="store.trial.sandbox",
                memory=settings.trial_memory,
                arguments=(),
                niceness=0,
                processes=1,
                waiting=UNBOUNDED,
                timeout_ns=settings.trial_timeout_ns,
                start_timeout_ns=settings.start_timeout_ns,
            )
        )
        self._results: OrderedDict[Version, asyncio.Task[pb.Vocabulary]] = OrderedDict()

    def start(self) -> None:
        """Starts the process in the background, ahead of the first model."""
        self._pool.start()

    async def close(self) -> None:
        """Ends the process."""
        await self._pool.close()

    async def vocabulary(self, version: Version) -> pb.Vocabulary:
        """What is known of a model's vocabulary. Raises CorruptModelError where the engine cannot load it."""
        trial = self._results.get(version)
        if trial is None:
            trial = self._results[version] = asyncio.create_task(self._try([path for path, _, _ in version]))
            trial.add_done_callback(lambda done: self._forget_accident(version, done))
        self._results.move_to_end(version)
        if len(self._results) > REMEMBERED:
            self._results.popitem(last=False)
        return await asyncio.shield(trial)

    async def _try(self, files: Sequence[str]) -> pb.Vocabulary:
        """A vocabulary that loads but dies of a text is fragile."""
        try:
            return await self._ask(files, self._length)
        except (ProcessDiedError, TookTooLongError) as error:
            log.warning("a text was too much for a vocabulary", model=files[0], error=repr(error))
        try:
            vocabulary = await self._ask(files, 0)
        except ProcessDiedError:
            raise _unusable("the engine dies of it") from None
        except TookTooLongError:
            raise _unusable("it takes too long to load") from None
        vocabulary.fragile = True
        return vocabulary

    async def _ask(self, files: Sequence[str], length: int) -> pb.Vocabulary:
        answer = orjson.loads(await self._pool.ask(orjson.dumps({"files": files, "length": length})))
        if "error" in answer:
            raise _unusable(answer["error"])
        return pb.Vocabulary(longest_token=answer["longest_token"])

    def _forget_accident(self, version: Version, trial: "asyncio.Task[pb.Vocabulary]") -> None:
        """Forgets a trial that says nothing about the model."""
        if trial.cancelled() or not isinstance(trial.exception(), CorruptModelError | None):
            self._results.pop(version, None)


def _unusable(reason: str) -> CorruptModelError:
    return CorruptModelError(f"unable to load model: its vocabulary cannot be used: {reason}")


def _file_version(path: str) -> tuple[str, int, int]:
    status = Path(path).stat()
    return path, status.st_size, status.st_mtime_ns
