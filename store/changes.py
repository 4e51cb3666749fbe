"""Tells which models have changed on disk since they were resolved, whichever program changed them."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Final

from remuda.file_versions import FileVersion, is_current
from remuda.logs import get_logger

MAX_MODELS: Final = 1024
"""Models whose files are looked at. A gateway remembers a quarter of it; a look takes about 10 µs for each model."""
RETRY_PAUSE_S: Final = 1.0
"""Between a look that failed and the next one. What it failed of, such as too many threads, does not end sooner."""


class Changes:
    """Knows the files that each model was made from, and looks at them while somebody watches."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._models: OrderedDict[str, Collection[FileVersion]] = OrderedDict()
        self._watchers: set[_Watcher] = set()
        self._due = asyncio.Event()

    def observe(self, name: str, files: Collection[FileVersion]) -> None:
        """From now on whoever watches is told when one of the files is no longer this version of it."""
        self._models[name] = files
        self._models.move_to_end(name)
        if len(self._models) > MAX_MODELS:
            oldest, _ = self._models.popitem(last=False)
            self._tell({oldest})

    def changed(self) -> None:
        """Has the files looked at as soon as possible. So far only watchers have; pulls and deletions will, too."""
        self._due.set()

    async def watch(self) -> AsyncGenerator[set[str]]:
        """The full names of models that have changed, for ever. The first set is empty: it tells that from now on
        nothing is missed."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        self._due.set()
        try:
            yield set()
            while True:
                yield await watcher.names()
        finally:
            self._watchers.discard(watcher)

    async def run(self) -> None:
        """Looks at the files again and again, in a thread. A look that fails is made again."""
        while True:
            await self._next_look()
            try:
                await self._look()
            except (OSError, RuntimeError) as error:  # RuntimeError: no thread could be started
                get_logger().warning("the models' files cannot be looked at", reason=str(error))
                await asyncio.sleep(RETRY_PAUSE_S)
                self._due.set()

    async def _look(self) -> None:
        models = dict(self._models)
        self._forget(models, await asyncio.to_thread(_outdated, models))

    async def _next_look(self) -> None:
        try:
            async with asyncio.timeout(self._interval_s if self._watchers else None):
                await self._due.wait()
        except TimeoutError:
            pass
        self._due.clear()

    def _forget(self, seen: Mapping[str, Collection[FileVersion]], outdated: set[str]) -> None:
        for name in outdated:
            if self._models.get(name) is seen[name]:  # it may have been resolved anew meanwhile
                del self._models[name]
        if outdated:
            self._tell(outdated)

    def _tell(self, names: set[str]) -> None:
        for watcher in self._watchers:
            watcher.tell(names)


class _Watcher:
    """Names that one watcher has not taken yet."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._told = asyncio.Event()

    def tell(self, names: set[str]) -> None:
        self._names |= names
        self._told.set()

    async def names(self) -> set[str]:
        await self._told.wait()
        self._told.clear()
        names, self._names = self._names, set()
        return names


def _outdated(models: Mapping[str, Collection[FileVersion]]) -> set[str]:
    return {name for name, files in models.items() if not all(map(is_current, files))}
