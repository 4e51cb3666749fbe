"""Finds and checks the GGUF files of a model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from remuda.file_versions import FileVersion
from store.errors import CorruptModelError
from store.gguf.header import Gguf
from store.gguf.reader import InvalidGgufError
from store.gguf.splits import is_split, merge, order
from store.headers import Headers
from store.layout.blobs import Blobs, missing
from store.layout.digests import Digest
from store.layout.manifests import Layer, LayerType, Manifest

MAX_FILES: Final = 1024
"""GGUF files of a model. The largest ones are split into some 200."""
_FILE_TYPES: Final = (LayerType.MODEL, LayerType.PROJECTOR, LayerType.ADAPTER, LayerType.DRAFT)


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


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of weights whose header is not read yet."""

    digest: Digest
    version: FileVersion


FoundFiles = dict[LayerType, list[FoundFile]]
"""A model's files of weights, in the order of the manifest."""


def find_weights(manifest: Manifest, blobs: Blobs) -> FoundFiles:
    """Raises CorruptModelError where a file is missing, and where there are no weights or too many files."""
    layers = manifest.of_type(*_FILE_TYPES)
    if len(layers) > MAX_FILES:
        raise CorruptModelError(f"the model has {len(layers)} GGUF files, and at most {MAX_FILES} are allowed")
    files: FoundFiles = {kind: [_find(layer, blobs) for layer in manifest.of_type(kind)] for kind in _FILE_TYPES}
    if not files[LayerType.MODEL]:
        raise CorruptModelError("the model has no GGUF weights")
    return files


async def read_weights(files: FoundFiles, headers: Headers) -> Weights:
    """Raises CorruptModelError where a file is missing, not GGUF, truncated or hostile."""
    model, *splits = await _read_model(files[LayerType.MODEL], headers)
    if not model.header.architecture:
        raise CorruptModelError(f"blob {model.digest} cannot be used: it names no architecture")
    drafts = files[LayerType.DRAFT][-1:]
    return Weights(
        model=model,
        splits=splits,
        projectors=[await _read(file, headers) for file in files[LayerType.PROJECTOR]],
        adapters=[await _read(file, headers) for file in files[LayerType.ADAPTER]],
        draft=await _read(drafts[0], headers) if drafts else None,
    )


async def _read_model(files: Sequence[FoundFile], headers: Headers) -> list[WeightsFile]:
    """The model's files in order: one, or all that it is split into."""
    first = await _read(files[0], headers)
    if not is_split(first.header):
        return [first]
    unordered = [first, *[await _read(file, headers) for file in files[1:]]]
    ordered = [unordered[place] for place in order([file.header for file in unordered])]
    return [replace(ordered[0], header=merge([file.header for file in ordered])), *ordered[1:]]


def _find(layer: Layer, blobs: Blobs) -> FoundFile:
    return FoundFile(layer.digest, blobs.version(layer.digest))


async def _read(file: FoundFile, headers: Headers) -> WeightsFile:
    try:
        header = await headers.read(file.version)
    except FileNotFoundError:
        raise missing(file.digest) from None
    except InvalidGgufError as error:
        raise CorruptModelError(f"blob {file.digest} cannot be used: {error}") from None
    return WeightsFile(file.version.path, file.digest, header)
