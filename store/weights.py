"""The GGUF files of a model. Their headers are read once per version of the file and remembered."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from store.blobs import Blobs
from store.digests import Digest
from store.errors import CorruptModelError
from store.gguf import Gguf, read_gguf
from store.gguf_reader import InvalidGgufError
from store.manifests import Layer, LayerType, Manifest


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A GGUF file that has been checked."""

    path: Path
    digest: Digest
    header: Gguf


@dataclass(frozen=True, slots=True)
class Weights:
    """What a worker loads for one model."""

    model: WeightsFile
    projectors: Sequence[WeightsFile]
    adapters: Sequence[WeightsFile]


class WeightsReader:
    """Finds and checks the GGUF files of manifests; remembers `remembered` headers, without their arrays."""

    def __init__(self, blobs: Blobs, remembered: int) -> None:
        self._blobs = blobs
        self._header = lru_cache(maxsize=remembered)(_read_version)

    def read(self, manifest: Manifest) -> Weights:
        """Raises CorruptModelError when a file is missing, truncated or no GGUF, or there are no weights at all."""
        models = manifest.of_type(LayerType.MODEL)
        if not models:
            raise CorruptModelError("the model has no GGUF weights")
        model = self._file(models[0])
        if not model.header.architecture:
            raise CorruptModelError(f"blob {model.digest} cannot be used: it names no architecture")
        return Weights(
            model=model,
            projectors=[self._file(layer) for layer in manifest.of_type(LayerType.PROJECTOR)],
            adapters=[self._file(layer) for layer in manifest.of_type(LayerType.ADAPTER)],
        )

    def _file(self, layer: Layer) -> WeightsFile:
        path = self._blobs.require(layer.digest)
        status = path.stat()
        try:
            header = self._header(path, status.st_size, status.st_mtime_ns)
        except InvalidGgufError as error:
            raise CorruptModelError(f"blob {layer.digest} cannot be used: {error}") from None
        return WeightsFile(path, layer.digest, header)


def _read_version(path: Path, size: int, mtime_ns: int) -> Gguf:
    """The header of one version of a file: size and time are there to tell versions apart."""
    del size, mtime_ns
    return read_gguf(path)
