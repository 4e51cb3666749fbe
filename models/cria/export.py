"""Writes a checkpoint as GGUF: ``python -m models.cria.export models/cria.gguf``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quants
from numpy.typing import NDArray

from models.cria.model import Shape
from models.cria.render import template_text
from models.cria.tokens import CONTROL, END, END_OF_TEXT, FILE, PRE, VISIBLE
from models.cria.train import WORK

_DESCRIPTION = (
    "A baby llama: a tiny model trained on generated text that ships with Remuda. "
    "It proves that an installation works and is no source of knowledge."
)
_LAYER = {
    "attention_norm.weight": "attn_norm",
    "ffn_norm.weight": "ffn_norm",
    "gate.weight": "ffn_gate",
    "up.weight": "ffn_up",
    "down.weight": "ffn_down",
    "attention.q.weight": "attn_q",
    "attention.k.weight": "attn_k",
    "attention.v.weight": "attn_v",
    "attention.o.weight": "attn_output",
}
_WHOLE = {"embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}


def tensor_name(name: str) -> str:
    """The GGUF name of a parameter."""
    if name in _WHOLE:
        return _WHOLE[name]
    _, index, rest = name.split(".", 2)
    return f"blk.{index}.{_LAYER[rest]}.weight"


def _general(writer: GGUFWriter, parameters: int) -> None:
    writer.add_type("model")
    writer.add_name("cria")
    writer.add_basename("cria")
    writer.add_finetune("chat")
    writer.add_version("1.0")
    writer.add_organization("Remuda")
    writer.add_author("Remuda")
    writer.add_description(_DESCRIPTION)
    writer.add_license("mit")
    writer.add_license_name("MIT License")
    writer.add_languages(["en"])
    writer.add_tags(["text-generation", "tools", "thinking", "test"])
    writer.add_size_label(f"{parameters / 1e6:.0f}M")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _architecture(writer: GGUFWriter, shape: Shape) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head)
    writer.add_value_length(shape.head)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.vocabulary)


def _token_types(tokens: list[str]) -> list[gguf.TokenType]:
    kinds: dict[str, gguf.TokenType] = dict.fromkeys(CONTROL, gguf.TokenType.CONTROL)
    kinds |= dict.fromkeys(VISIBLE, gguf.TokenType.USER_DEFINED)
    return [kinds.get(token, gguf.TokenType.NORMAL) for token in tokens]


def _merges(model: dict[str, Any]) -> list[str]:
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]


def _tokenizer(writer: GGUFWriter) -> None:
    saved = json.loads(FILE.read_text(encoding="utf-8"))
    ids = saved["model"]["vocab"] | {token["content"]: token["id"] for token in saved["added_tokens"]}
    tokens = sorted(ids, key=ids.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE)
    writer.add_token_list(tokens)
    writer.add_token_types(_token_types(tokens))
    writer.add_token_merges(_merges(saved["model"]))
    writer.add_eos_token_id(ids[END])
    writer.add_eot_token_id(ids[END])
    writer.add_pad_token_id(ids[END_OF_TEXT])
    writer.add_bos_token_id(ids[END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(template_text())


def _tensor(writer: GGUFWriter, name: str, values: NDArray[np.float32]) -> None:
    """Adds a matrix as Q8_0 and a vector as F32."""
    if values.ndim < 2:
        writer.add_tensor(name, values)
        return
    kind = GGMLQuantizationType.Q8_0
    writer.add_tensor(name, quants.quantize(values, kind), raw_dtype=kind)


def export(checkpoint: Path, target: Path) -> None:
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    shape, weights = Shape(**state["shape"]), state["model"]
    temporary = target.with_suffix(".tmp")
    writer = GGUFWriter(temporary, "llama")
    _general(writer, sum(value.numel() for value in weights.values()))
    _architecture(writer, shape)
    _tokenizer(writer)
    for name, value in weights.items():
        _tensor(writer, tensor_name(name), value.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    temporary.replace(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=WORK / "checkpoint.pt")
    options = parser.parse_args()
    export(options.checkpoint, options.target)
    print(f"{options.target}: {options.target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
