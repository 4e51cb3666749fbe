"""The vocabularies of a gateway."""

import asyncio
from collections import OrderedDict
from typing import Any

from gateway.links.store import StoreLink
from gateway.prompt.vocabulary.vocabulary import Vocabulary, Workshop
from remuda.bare_vocabulary import send_log_to
from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1.store_pb2 import Bundle

log = get_logger()

ERROR_LEVEL = 4


class Vocabularies:
    """A cache by the digest of the weights. The least recently used ones go first."""

    def __init__(self, store: StoreLink, settings: Settings) -> None:
        self._store = store
        self._most = settings.vocabulary_cache
        self._workshop = Workshop.of(settings)
        self._loaded: OrderedDict[str, asyncio.Task[Vocabulary]] = OrderedDict()
        send_log_to(_log_errors)

    async def close(self) -> None:
        """Ends the tokenizer processes."""
        await self._workshop.processes.close()

    async def get(self, bundle: Bundle) -> Vocabulary:
        """The vocabulary of a model, loaded in a thread at first use. Raises GatewayError."""
        digest = bundle.model_digest
        loading = self._loaded.get(digest)
        if loading is None:
            loading = self._loaded[digest] = asyncio.create_task(self._load(bundle))
            loading.add_done_callback(lambda done: self._forget_failure(digest, done))
        self._loaded.move_to_end(digest)
        while len(self._loaded) > self._most:
            self._loaded.popitem(last=False)
        return await asyncio.shield(loading)

    async def _load(self, bundle: Bundle) -> Vocabulary:
        """Loads what the store has tried: the engine dies of some vocabularies."""
        known = await self._store.vocabulary(bundle)
        return await self._workshop.threads.run(Vocabulary, bundle, known, self._workshop)

    def _forget_failure(self, digest: str, done: "asyncio.Task[Vocabulary]") -> None:
        if done.cancelled() or done.exception() is not None:
            self._loaded.pop(digest, None)


def _log_errors(level: int, text: bytes, _: Any) -> None:
    if level == ERROR_LEVEL and (line := text.decode("utf-8", "replace").strip()):
        log.error("llama.cpp", message=line)
