"""Builds tiny GGUF files and models folders byte by byte as Ollama does, without the store's own code."""

import hashlib
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np

JINJA = "{% for message in messages %}{{ message.content }}{% endfor %}"


def write_gguf(path: Path, *, architecture: str = "llama", template: str = JINJA, tokens: int = 8) -> Path:
    """Writes a valid file of two tensors (F32 and Q8_0) with 64 + 256 elements."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("Tiny")
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token {number}" for number in range(tokens)])
    writer.add_token_scores([number / 10 for number in range(tokens)])
    if template:
        writer.add_chat_template(template)
    writer.add_tensor("norm.weight", np.arange(64, dtype=np.float32))
    quantized = gguf.quantize(np.ones((4, 64), dtype=np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("layer.weight", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class OllamaFolder:
    """A models folder with Ollama's layout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs").mkdir(parents=True)
        (root / "manifests").mkdir()

    def layer(self, kind: str, content: bytes, **more: str) -> dict[str, Any]:
        """Stores `content` as a blob and returns its entry in a manifest."""
        digest = hashlib.sha256(content).hexdigest()
        (self.root / "blobs" / f"sha256-{digest}").write_bytes(content)
        media_type = kind if "." in kind else f"application/vnd.ollama.image.{kind}"
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content), **more}

    def install(self, name: str, *layers: dict[str, Any], **config: Any) -> str:
        """Writes a manifest at `host/namespace/model/tag` and returns the SHA-256 of its file."""
        defaults = {"model_format": "gguf", "model_family": "llama", "model_families": ["llama"], "model_type": "320"}
        body = defaults | {"file_type": "Q8_0", **config, "architecture": "amd64", "os": "linux"}
        config_type = "application/vnd.docker.container.image.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": self.layer(config_type, json.dumps(body).encode()),
            "layers": list(layers),
        }
        return self.write_manifest(name, json.dumps(manifest, separators=(",", ":")).encode() + b"\n")

    def write_manifest(self, name: str, content: bytes) -> str:
        path = self.root / "manifests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def weights(self, **options: Any) -> dict[str, Any]:
        """Stores the weights of a tiny model and returns their layer."""
        file = write_gguf(self.root / "made.gguf", **options)
        layer = self.layer("model", file.read_bytes())
        file.unlink()
        return layer
