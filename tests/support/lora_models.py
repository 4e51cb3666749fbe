"""Tiny LoRA adapters in GGUF: one that is exactly known, for scripted models, and random ones for any model."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import gguf
import numpy as np

from support.scripted import STRENGTH, script_of

ATTENTION = ("attn_q", "attn_k", "attn_v", "attn_output")
"""What a random adapter changes: the KV cache, too, is another one with it than without."""
Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def write_skipping_adapter(path: Path, text: str, words: int) -> Path:
    """Writes an adapter for the scripted model of `text` that makes it begin with its word number `words` (from 0)."""
    script = script_of(text)
    narrow, wide = np.zeros((1, script.width), np.float32), np.zeros((len(script.vocabulary), 1), np.float32)
    narrow[0, 0] = 1  # the direction that all prompt tokens share
    wide[script.tokens[words], 0] = 2 * STRENGTH
    return _write(path, "llama", [("output", narrow, wide)])


def write_random_adapter(path: Path, base: Path, *, seed: int = 0, rank: int = 4, size: float = 1.0) -> Path:
    """Writes an adapter that changes the attention of all layers of `base`, by matrices with random entries of about
    `size` times those of a trained model."""
    random = np.random.default_rng(seed)
    reader = gguf.GGUFReader(base)
    pairs: list[tuple[str, Matrix, Matrix]] = []
    for tensor in reader.tensors:
        name = tensor.name.removesuffix(".weight")
        if name.rpartition(".")[2] in ATTENTION:
            inputs, outputs = (int(length) for length in tensor.shape)
            narrow = random.normal(0, inputs**-0.5, (rank, inputs)).astype(np.float32)
            pairs.append((name, narrow, random.normal(0, size, (outputs, rank)).astype(np.float32)))
    return _write(path, _text(reader, "general.architecture"), pairs)


def _write(path: Path, architecture: str, pairs: Iterable[tuple[str, Matrix, Matrix]]) -> Path:
    """Each pair's product, [outputs, rank] times [rank, inputs], is added to the matrix of its name."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    for number, (name, narrow, wide) in enumerate(pairs):
        if not number:
            writer.add_float32("adapter.lora.alpha", float(len(narrow)))  # so that the product counts once
        writer.add_tensor(f"{name}.weight.lora_a", narrow)
        writer.add_tensor(f"{name}.weight.lora_b", wide)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _text(reader: gguf.GGUFReader, key: str) -> str:
    field = reader.get_field(key)
    assert field is not None
    parts: Sequence[np.ndarray[tuple[int], np.dtype[np.uint8]]] = field.parts
    return bytes(parts[field.data[0]]).decode()
