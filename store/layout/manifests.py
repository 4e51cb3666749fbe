"""Manifests: which blobs make up a model. `manifests/<host>/<namespace>/<model>/<tag>`, JSON, without an extension."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from remuda.file_versions import FileVersion, version_of
from remuda.logs import get_logger
from store.errors import CorruptModelError, InvalidNameError, ModelNotFoundError, reason_of
from store.layout.blobs import sync_folder
from store.layout.digests import Digest, parse_digest
from store.layout.names import Name, canonicalise
from store.layout.regular_files import IrregularFileError, open_regular

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
MAX_LAYERS = 100_000
MAX_SIZE = (1 << 63) - 1


class LayerType(StrEnum):
    """Media types of the layers that Remuda reads. It keeps and ignores all others."""

    MODEL = "application/vnd.ollama.image.model"
    PROJECTOR = "application/vnd.ollama.image.projector"
    ADAPTER = "application/vnd.ollama.image.adapter"
    DRAFT = "application/vnd.ollama.image.draft"
    TEMPLATE = "application/vnd.ollama.image.template"
    PROMPT = "application/vnd.ollama.image.prompt"  # an older name of TEMPLATE
    SYSTEM = "application/vnd.ollama.image.system"
    PARAMS = "application/vnd.ollama.image.params"
    MESSAGES = "application/vnd.ollama.image.messages"
    LICENSE = "application/vnd.ollama.image.license"


def _read_digest(value: object) -> Digest:
    if isinstance(value, Digest):
        return value
    if not isinstance(value, str):
        raise ValueError("a digest is a string")
    return parse_digest(value)


DigestField = Annotated[Digest, BeforeValidator(_read_digest), PlainSerializer(str, return_type=str)]


class Layer(BaseModel):
    """One blob of a model. Sizes are bytes. The fields stand in the order of the file."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, populate_by_name=True)

    media_type: Annotated[str, Field(alias="mediaType", max_length=255)]
    digest: DigestField
    size: Annotated[int, Field(ge=0, le=MAX_SIZE)]
    source: Annotated[str | None, Field(alias="from", max_length=1024)] = None
    name: Annotated[str | None, Field(max_length=4096)] = None


class Manifest(BaseModel):
    """The content of a manifest file. The fields stand in the order of the file."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    schema_version: Annotated[int, Field(alias="schemaVersion", ge=1, le=2)] = 2
    media_type: Annotated[str, Field(alias="mediaType", max_length=255)] = MANIFEST_TYPE
    config: Layer
    layers: Annotated[list[Layer], Field(max_length=MAX_LAYERS)]

    def of_type(self, *types: LayerType) -> list[Layer]:
        """The layers of these media types, in order."""
        return [layer for layer in self.layers if layer.media_type in types]

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(layer.size for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Installed:
    """A manifest, and what is known from its file."""

    name: Name
    manifest: Manifest
    digest: Digest
    """SHA-256 of the file. It identifies the model."""
    file: FileVersion

    @property
    def modified_at_ns(self) -> int:
        """Unix time in nanoseconds."""
        return self.file.mtime_ns


class Manifests:
    """The folder of manifests. Refuses files larger than `limit` bytes."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self._limit = limit

    def prepare(self) -> None:
        """Makes the folder and checks that it is writable. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder):
            pass

    def names(self) -> Iterator[Name]:
        """The names of all manifests, by their paths alone. Logs and skips files whose path is not a name."""
        for path in self.folder.glob("*/*/*/*"):
            try:
                name = Name(*path.relative_to(self.folder).parts)
            except InvalidNameError as error:
                get_logger().warning("not a manifest: skipped", file=str(path), reason=str(error))
                continue
            if path.is_file():
                yield name

    def all(self) -> list[Installed]:
        """All readable manifests, newest first. Logs and skips the others."""
        manifests: list[Installed] = []
        for name in self.names():
            try:
                manifests.append(self._read(name))
            except (CorruptModelError, ModelNotFoundError, OSError) as error:
                get_logger().warning("manifest skipped", model=name.shortest, reason=str(error))
        return sorted(manifests, key=lambda installed: (-installed.modified_at_ns, installed.name))

    def find(self, name: Name) -> Installed:
        """The manifest of `name`, whatever its case. Raises ModelNotFoundError, CorruptModelError."""
        if not name.manifest_path(self.folder).is_file():
            name = canonicalise(name, self.names())
        return self._read(name)

    def has(self, name: Name) -> bool:
        """Whether there is a manifest of that name, whatever its case, readable or not."""
        return os.path.lexists(canonicalise(name, self.names()).manifest_path(self.folder))

    def _read(self, name: Name) -> Installed:
        path = name.manifest_path(self.folder)
        try:
            with open_regular(path, self.folder) as file:
                version = version_of(path, file.fileno())
                content = file.read(self._limit + 1)
        except (FileNotFoundError, NotADirectoryError, IrregularFileError):
            raise ModelNotFoundError(name.shortest) from None
        if len(content) > self._limit:
            raise CorruptModelError(f"the manifest of {name.shortest} is larger than {self._limit} bytes")
        return Installed(name, _parse(content, name), Digest(hashlib.sha256(content).hexdigest()), version)

    def write(self, name: Name, manifest: Manifest) -> None:
        """Installs `manifest` under `name`, atomically replacing an earlier one."""
        path = name.manifest_path(self.folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = orjson.dumps(manifest.model_dump(by_alias=True, exclude_none=True)) + b"\n"
        # a temporary file at the top is never listed: manifests lie four levels deep
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as target:
            temporary = Path(target.name)
            try:
                target.write(content)
                target.flush()
                os.fsync(target.fileno())
                temporary.chmod(0o644)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def _parse(content: bytes, name: Name) -> Manifest:
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise CorruptModelError(f"the manifest of {name.shortest} is invalid: {reason_of(error)}") from None
