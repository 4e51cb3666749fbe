"""Reads the small layers of a model: its config, texts, parameters and preset messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from store.errors import CorruptModelError, reason_of
from store.layout.blobs import Blobs
from store.layout.digests import Digest
from store.layout.manifests import Layer, LayerType, Manifest

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
class SmallLayers:
    """Everything of a model except its weights."""

    config: ModelConfig
    template: str
    system: str
    params: Params
    messages: Sequence[PresetMessage]
    licenses: Sequence[str]


class LayerReader:
    """Reads the small layers of manifests. Refuses blobs larger than `limit` bytes."""

    def __init__(self, blobs: Blobs, limit: int) -> None:
        self._blobs = blobs
        self._limit = limit

    def read(self, manifest: Manifest) -> SmallLayers:
        """Raises CorruptModelError where a blob is missing, too large or not of its media type's form."""
        return SmallLayers(
            config=self.config(manifest),
            template=self._last_text(manifest.of_type(LayerType.TEMPLATE, LayerType.PROMPT)),
            system=self._last_text(manifest.of_type(LayerType.SYSTEM)),
            params=self._last(manifest.of_type(LayerType.PARAMS), _PARAMS) or {},
            messages=self._last(manifest.of_type(LayerType.MESSAGES), _MESSAGES) or [],
            licenses=[self._text(layer.digest) for layer in manifest.of_type(LayerType.LICENSE)],
        )

    def config(self, manifest: Manifest) -> ModelConfig:
        """Raises CorruptModelError."""
        return self._parse(manifest.config.digest, _CONFIG)

    def _text(self, digest: Digest) -> str:
        return self._blobs.read(digest, self._limit).decode(errors="replace")

    def _last_text(self, layers: Sequence[Layer]) -> str:
        return self._text(layers[-1].digest) if layers else ""

    def _last(self, layers: Sequence[Layer], shape: TypeAdapter[Parsed]) -> Parsed | None:
        return self._parse(layers[-1].digest, shape) if layers else None

    def _parse(self, digest: Digest, shape: TypeAdapter[Parsed]) -> Parsed:
        content = self._blobs.read(digest, self._limit)
        try:
            return shape.validate_json(content)
        except ValidationError as error:
            raise CorruptModelError(f"blob {digest} is invalid: {reason_of(error)}") from None
