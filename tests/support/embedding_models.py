"""Tiny models that embed, with random weights: what matters is that every layer of them computes."""

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

from support.byte_vocabulary import PIECES, add_byte_vocabulary

CONTEXT, WIDTH, HEADS, LAYERS, INNER = 128, 64, 2, 2, 128
WORDS = (
    "horse",
    "herd",
    "ranch",
    "rope",
    "the",
    "a",
    "runs",
    "over",
    "hill",
    "##s",
    "##ed",
    "hor",
    "##se",
    "!",
    "?",
    ".",
)


def write_bert(path: Path, *, pooling: gguf.PoolingType = gguf.PoolingType.MEAN) -> Path:
    """A BERT: attention in both directions, a WordPiece vocabulary, [CLS] and [SEP] around every text. With
    PoolingType.RANK a reranking model of one score."""
    writer = gguf.GGUFWriter(path, "bert")
    _write_header(writer, pooling)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(_phantom_space, WORDS)]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(vocabulary)
    writer.add_token_types([gguf.TokenType.CONTROL] * 5 + [gguf.TokenType.NORMAL] * len(WORDS))
    writer.add_token_type_count(2)
    writer.add_vocab_size(len(vocabulary))
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(vocabulary), WIDTH),
        "token_types.weight": (2, WIDTH),
        "position_embd.weight": (CONTEXT, WIDTH),
    }
    norms = ["token_embd_norm"]
    for layer in range(LAYERS):
        shapes |= _matrices(layer, attention=("attn_q", "attn_k", "attn_v", "attn_output"), wide=("ffn_up",))
        norms += [f"blk.{layer}.attn_output_norm", f"blk.{layer}.layer_output_norm"]
    if pooling is gguf.PoolingType.RANK:
        shapes |= {"cls.weight": (WIDTH, WIDTH), "cls.output.weight": (1, WIDTH)}
    _write_tensors(writer, shapes, norms, biased=True)
    return path


def write_llama_embedder(path: Path, *, pooling: gguf.PoolingType | None) -> Path:
    """A Llama, with attention backwards alone; without `pooling` it is a model that generates."""
    writer = gguf.GGUFWriter(path, "llama")
    _write_header(writer, pooling)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    add_byte_vocabulary(writer)
    writer.add_add_space_prefix(False)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(PIECES), WIDTH),
        "output.weight": (len(PIECES), WIDTH),
    }
    norms = ["output_norm"]
    for layer in range(LAYERS):
        attention = ("attn_q", "attn_k", "attn_v", "attn_output")
        shapes |= _matrices(layer, attention=attention, wide=("ffn_gate", "ffn_up"))
        norms += [f"blk.{layer}.attn_norm", f"blk.{layer}.ffn_norm"]
    _write_tensors(writer, shapes, norms, biased=False)
    return path


def _write_header(writer: gguf.GGUFWriter, pooling: gguf.PoolingType | None) -> None:
    writer.add_name("embedder")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    if pooling is not None:
        writer.add_pooling_type(pooling)


def _phantom_space(word: str) -> str:
    """WordPiece as GGUF spells it: what begins a word is marked, not what goes on with one."""
    return word[2:] if word.startswith("##") else f"\u2581{word}"


def _matrices(layer: int, *, attention: tuple[str, ...], wide: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    names = dict.fromkeys(attention, (WIDTH, WIDTH)) | dict.fromkeys(wide, (INNER, WIDTH))
    names["ffn_down"] = (WIDTH, INNER)
    return {f"blk.{layer}.{name}.weight": shape for name, shape in names.items()}


def _write_tensors(
    writer: gguf.GGUFWriter, shapes: Mapping[str, tuple[int, ...]], norms: list[str], *, biased: bool
) -> None:
    chance = np.random.default_rng(7)
    for name, shape in shapes.items():
        writer.add_tensor(name, chance.normal(0, 0.2, shape).astype(np.float32))
    for name in norms:
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
        if biased:
            writer.add_tensor(f"{name}.bias", chance.normal(0, 0.1, WIDTH).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
