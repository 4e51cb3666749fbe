"""Reads the small layers of a model: its config, texts, parameters and preset messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from remuda.file_versions import FileVersion
from store.errors import CorruptModelError, reason_of
from store.layout.blobs import Blobs
from store.layout.digests import Digest
from store.layout.manifests import LayerType, Manifest

Parsed = TypeVar("Parsed")


class ModelConfig(BaseModel):
    """The config blob. Any field may be missing; they stand in the order of the file."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    model_format: str = ""
    model_family: str = ""
    model_families: list[str] | None = None
    model_type: str = ""
    """The parameter count as people read it: "3.2B"."""
    file_type: str = ""
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    remote_host: str = ""
    remote_model: str = ""
    capabilities: list[str] = []
    context_length: Annotated[int, Field(ge=0)] = 0
    embedding_length: Annotated[int, Field(ge=0)] = 0
    architecture: str = "amd64"
    os: str = "linux"


class PresetMessage(BaseModel):
    """A message that begins every conversation: a MESSAGE of the Modelfile."""

    model_config = ConfigDict(frozen=True)

    role: str
    content: str = ""


Params = dict[str, JsonValue]

_CONFIG = TypeAdapter(ModelConfig)
_PARAMS = TypeAdapter(Params)
_MESSAGES = TypeAdapter(list[PresetMessage])


@dataclass(frozen=True, slots=True)
class CoreLayers:
    """What a listing tells of."""

    config: ModelConfig
    template: str


@dataclass(frozen=True, slots=True)
class SmallLayers(CoreLayers):
    """What a model is served with, except its weights."""

    system: str
    params: Params
    messages: Sequence[PresetMessage]


@dataclass(frozen=True, slots=True)
class ShownLayers(SmallLayers):
    """Everything of a model except its weights."""

    licenses: Sequence[str]


class LayerReader:
    """Reads the small layers of one model. Together they may take `limit` bytes.

    Its methods raise CorruptModelError where a blob is missing, too large or not of its media type's form.
    """

    def __init__(self, blobs: Blobs, manifest: Manifest, limit: int) -> None:
        self._blobs = blobs
        self._manifest = manifest
        self._limit = limit
        self._left = limit
        self.files: list[FileVersion] = []
        """The versions of the blobs that have been read."""

    def core(self) -> CoreLayers:
        """Leaves all other layers unread."""
        return CoreLayers(
            config=self._parse(self._manifest.config.digest, _CONFIG),
            template=self._last_text(LayerType.TEMPLATE, LayerType.PROMPT),
        )

    def small(self) -> SmallLayers:
        """Leaves licenses unread."""
        core = self.core()
        return SmallLayers(
            config=core.config,
            template=core.template,
            system=self._last_text(LayerType.SYSTEM),
            params=self._last(LayerType.PARAMS, _PARAMS) or {},
            messages=self._last(LayerType.MESSAGES, _MESSAGES) or [],
        )

    def shown(self) -> ShownLayers:
        """Reads all."""
        small = self.small()
        return ShownLayers(
            config=small.config,
            template=small.template,
            system=small.system,
            params=small.params,
            messages=small.messages,
            licenses=[self._text(layer.digest) for layer in self._manifest.of_type(LayerType.LICENSE)],
        )

    def _last_text(self, *types: LayerType) -> str:
        layers = self._manifest.of_type(*types)
        return self._text(layers[-1].digest) if layers else ""

    def _last(self, kind: LayerType, shape: TypeAdapter[Parsed]) -> Parsed | None:
        layers = self._manifest.of_type(kind)
        return self._parse(layers[-1].digest, shape) if layers else None

    def _text(self, digest: Digest) -> str:
        return self._read(digest).decode(errors="replace")

    def _parse(self, digest: Digest, shape: TypeAdapter[Parsed]) -> Parsed:
        try:
            return shape.validate_json(self._read(digest))
        except ValidationError as error:
            raise CorruptModelError(f"blob {digest} is invalid: {reason_of(error)}") from None

    def _read(self, digest: Digest) -> bytes:
        self.files.append(self._blobs.version(digest))
        content = self._blobs.read(digest, self._left)
        if len(content) > self._left:
            raise CorruptModelError(
                f"blob {digest} is too large: a model's config, texts and parameters may take {self._limit} bytes"
            )
        self._left -= len(content)
        return content
