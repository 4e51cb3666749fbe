"""Opens the GGUF files of a model. The header of each version of a file is read once and cached."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from store.errors import CorruptModelError
from store.gguf.header import Gguf, read_gguf
from store.gguf.reader import InvalidGgufError
from store.gguf.splits import is_split, merge, order
from store.layout.blobs import Blobs
from store.layout.digests import Digest
from store.layout.manifests import Layer, LayerType, Manifest


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A GGUF file with a valid header."""

    path: Path
    digest: Digest
    header: Gguf


@dataclass(frozen=True, slots=True)
class Weights:
    """What a worker loads for one model."""

    model: WeightsFile
    """The first file of a split model; its header has the tensors of all files."""
    splits: Sequence[WeightsFile]
    """The further files of a split model, in order."""
    projectors: Sequence[WeightsFile]
    adapters: Sequence[WeightsFile]
    draft: WeightsFile | None
    """The draft model for speculative decoding."""


class WeightsReader:
    """Finds and checks the GGUF files of manifests. Caches `cache_size` headers, without their arrays."""

    def __init__(self, blobs: Blobs, cache_size: int) -> None:
        self._blobs = blobs
        self._header = lru_cache(maxsize=cache_size)(_read_version)

    def read(self, manifest: Manifest) -> Weights:
        """Raises CorruptModelError where a file is missing, truncated or not GGUF, and where there are no weights."""
        models = manifest.of_type(LayerType.MODEL)
        if not models:
            raise CorruptModelError("the model has no GGUF weights")
        model, *splits = self._model(models)
        if not model.header.architecture:
            raise CorruptModelError(f"blob {model.digest} cannot be used: it names no architecture")
        drafts = manifest.of_type(LayerType.DRAFT)
        return Weights(
            model=model,
            splits=splits,
            projectors=[self._file(layer) for layer in manifest.of_type(LayerType.PROJECTOR)],
            adapters=[self._file(layer) for layer in manifest.of_type(LayerType.ADAPTER)],
            draft=self._file(drafts[-1]) if drafts else None,
        )

    def _model(self, layers: Sequence[Layer]) -> list[WeightsFile]:
        """The model's files in order: one, or all that it is split into."""
        first = self._file(layers[0])
        if not is_split(first.header):
            return [first]
        unordered = [first, *map(self._file, layers[1:])]
        files = [unordered[place] for place in order([file.header for file in unordered])]
        return [replace(files[0], header=merge([file.header for file in files])), *files[1:]]

    def _file(self, layer: Layer) -> WeightsFile:
        path = self._blobs.require(layer.digest)
        status = path.stat()
        try:
            header = self._header(path, status.st_size, status.st_mtime_ns)
        except InvalidGgufError as error:
            raise CorruptModelError(f"blob {layer.digest} cannot be used: {error}") from None
        return WeightsFile(path, layer.digest, header)


def _read_version(path: Path, size: int, mtime_ns: int) -> Gguf:
    """The header of one version of a file. Size and time only tell versions apart in the cache."""
    del size, mtime_ns
    return read_gguf(path)
