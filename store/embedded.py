"""Imports the model that ships with Remuda, so that a fresh machine can answer."""

from io import BytesIO
from pathlib import Path

import orjson

from remuda.logs import get_logger
from store.details import human_number
from store.gguf.header import Gguf, read_gguf
from store.gguf.reader import InvalidGgufError
from store.gguf.tensor_types import file_type_name
from store.layout.blobs import Blob, Blobs
from store.layout.layers import ModelConfig
from store.layout.manifests import CONFIG_TYPE, Layer, LayerType, Manifest
from store.layout.names import parse_name
from store.library import Library

NAME = parse_name("cria")
NOTHING = "none"
PARAMS = {"temperature": 0, "num_predict": 1024}
"""Greedy: so small a model strays at Ollama's default temperature of 0.8. Bounded: at a prompt unlike those that it was
trained on, it may repeat itself until its context is full."""
LICENSE = "MIT License. Copyright (c) the authors of Remuda."


def import_embedded(library: Library, source: str) -> None:
    """Installs the GGUF file `source` as `cria:latest`, unless that name is taken. Raises OSError on a full disk."""
    if source == NOTHING or library.manifests.has(NAME):
        return
    path = Path(source).expanduser()
    try:
        header = read_gguf(path)
    except (FileNotFoundError, InvalidGgufError) as error:
        get_logger().warning("the embedded model is not imported", file=source, reason=str(error))
        return
    library.manifests.write(NAME, _store(library.blobs, path, header))
    get_logger().info("the embedded model is imported", model=NAME.shortest)


def _store(blobs: Blobs, path: Path, header: Gguf) -> Manifest:
    # not a hard link: a later build of the model would change the content under its digest
    with path.open("rb") as file:
        weights = blobs.add(file)
    config = blobs.add(BytesIO(_config(header)))
    return Manifest(
        config=_layer(CONFIG_TYPE, config),
        layers=[
            _layer(LayerType.MODEL, weights),
            _layer(LayerType.LICENSE, blobs.add(BytesIO(LICENSE.encode()))),
            _layer(LayerType.PARAMS, blobs.add(BytesIO(orjson.dumps(PARAMS) + b"\n"))),
        ],
    )


def _layer(media_type: str, blob: Blob) -> Layer:
    return Layer(media_type=media_type, digest=blob.digest, size=blob.size)


def _config(header: Gguf) -> bytes:
    config = ModelConfig(
        model_format="gguf",
        model_family=header.architecture,
        model_families=[header.architecture],
        model_type=human_number(header.parameter_count),
        file_type=file_type_name(header.integer("general.file_type")),
    )
    return orjson.dumps(
        config.model_dump(exclude_defaults=True) | {"architecture": config.architecture, "os": config.os}
    )
