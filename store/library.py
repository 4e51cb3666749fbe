"""The installed models. Files are read in threads, so that the event loop never waits for a disk."""

import asyncio
from collections.abc import Callable

from remuda.durations import seconds
from remuda.logs import get_logger
from remuda.settings import Settings
from remuda.v1 import store_pb2 as pb
from store.bundle import Layers, OpenedModel, make_bare_summary, make_bundle, make_summary
from store.changes import Changes
from store.errors import CorruptModelError
from store.gguf.header import Gguf
from store.gguf.reader import InvalidGgufError
from store.headers import Headers
from store.layout.blobs import Blobs, missing
from store.layout.layers import LayerReader
from store.layout.manifests import Installed, Manifests
from store.layout.names import parse_name
from store.show import ShownMetadata, make_show
from store.weights import Weights, WeightsFile, find_weights, read_weights


class Library:
    """The models below one folder in Ollama's layout."""

    def __init__(self, settings: Settings) -> None:
        self.blobs = Blobs(settings.models / "blobs")
        self.manifests = Manifests(settings.models / "manifests", settings.max_metadata)
        self.changes = Changes(seconds(settings.watch_interval_ns))
        self._headers = Headers(settings.gguf_threads, settings.gguf_cache)
        self._max_metadata = settings.max_metadata
        self._go_setting = settings.go_template

    def prepare(self) -> None:
        """Makes the folders and checks that they are writable. Blocks. Raises OSError."""
        self.blobs.prepare()
        self.manifests.prepare()

    async def resolve(self, name: str) -> pb.Bundle:
        """Raises InvalidNameError, ModelNotFoundError, CorruptModelError."""
        wanted = parse_name(name)
        installed = await asyncio.to_thread(self.manifests.find, wanted)
        model = await self._open(installed, LayerReader.small)
        bundle = await asyncio.to_thread(make_bundle, model)
        # a name in another case may come to mean another model without a change to this one's files
        bundle.watched = installed.name == wanted
        if bundle.watched:
            self.changes.observe(installed.name.full, model.files)
        return bundle

    async def show(self, name: str, *, verbose: bool) -> pb.ShowReply:
        """Raises InvalidNameError, ModelNotFoundError, CorruptModelError."""
        installed = await asyncio.to_thread(self.manifests.find, parse_name(name))
        model = await self._open(installed, LayerReader.shown)
        metadata = await self._metadata(model.weights, verbose=verbose)
        return await asyncio.to_thread(make_show, model, metadata)

    async def summaries(self) -> list[pb.ModelSummary]:
        """All models with a readable manifest, newest first. Reads one after the other."""
        return [await self._summary(installed) for installed in await asyncio.to_thread(self.manifests.all)]

    async def _summary(self, installed: Installed) -> pb.ModelSummary:
        try:
            return await asyncio.to_thread(make_summary, await self._open(installed, LayerReader.core))
        except (CorruptModelError, OSError) as error:
            get_logger().warning("model is damaged", model=installed.name.shortest, reason=str(error))
            return make_bare_summary(installed)

    async def _open(self, installed: Installed, read: Callable[[LayerReader], Layers]) -> OpenedModel[Layers]:
        """The model with the layers that `read` reads."""
        reader = LayerReader(self.blobs, installed.manifest, self._max_metadata)
        layers, found = await asyncio.to_thread(lambda: (read(reader), find_weights(installed.manifest, self.blobs)))
        files = [installed.file, *reader.files, *(file.version for files in found.values() for file in files)]
        return OpenedModel(installed, files, layers, await read_weights(found, self._headers), self._go_setting)

    async def _metadata(self, weights: Weights, *, verbose: bool) -> ShownMetadata:
        projector = weights.projectors[0] if weights.projectors else None
        if not verbose:
            return ShownMetadata(weights.model.header, projector and projector.header)
        return ShownMetadata(
            await self._with_arrays(weights.model), await self._with_arrays(projector) if projector else None
        )

    async def _with_arrays(self, file: WeightsFile) -> Gguf:
        try:
            return await self._headers.read_arrays(file.path)
        except FileNotFoundError:
            raise missing(file.digest) from None
        except InvalidGgufError as error:
            raise CorruptModelError(f"blob {file.digest} cannot be used: {error}") from None
