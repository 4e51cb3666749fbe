"""A models folder in Ollama's layout with one GGUF file in it."""

import hashlib
import os
import shutil
from pathlib import Path

import orjson

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
MODEL_TYPE = "application/vnd.ollama.image.model"


def install(folder: Path, name: str, model: Path) -> None:
    """Puts the file `model` into the models folder as `name:latest`. Its blob is a hard link if possible."""
    with model.open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    _link(model, _blob_path(folder, weights))
    config = orjson.dumps({"model_format": "gguf", "model_family": "llama", "architecture": "amd64", "os": "linux"})
    config_digest = hashlib.sha256(config).hexdigest()
    _blob_path(folder, config_digest).write_bytes(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _layer(CONFIG_TYPE, config_digest, len(config)),
        "layers": [_layer(MODEL_TYPE, weights, model.stat().st_size)],
    }
    path = folder / "manifests" / "registry.ollama.ai" / "library" / name / "latest"
    path.parent.mkdir(parents=True)
    path.write_bytes(orjson.dumps(manifest))


def _layer(media_type: str, digest: str, size: int) -> dict[str, str | int]:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _blob_path(folder: Path, digest: str) -> Path:
    blobs = folder / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    return blobs / f"sha256-{digest}"


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
