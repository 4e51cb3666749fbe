"""Writes GGUF files that are a vocabulary alone, as those in llama.cpp's `models` folder are."""

from collections.abc import Sequence
from pathlib import Path

import gguf

BYTES = [f"<0x{byte:02X}>".encode() for byte in range(256)]
"""SentencePiece's tokens for bytes."""
RWKV_BYTES = [repr(bytes([byte]))[2:-1].encode() for byte in range(256)]
WORDS = [f"word{number}".encode() for number in range(120)]
"""Enough for the numbers that llama.cpp gives special tokens by itself."""
SENTENCEPIECE = [b"<unk>", b"<s>", b"</s>", *BYTES]
UNIGRAM = [b"<pad>", b"</s>", b"<unk>", *(bytes([byte]) for byte in range(33, 127))]


def write_vocabulary(
    path: Path,
    model: str,
    tokens: Sequence[bytes],
    *,
    pre: str = "default",
    types: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    charsmap: bytes | None = None,
    vocab_size: int | None = None,
    **values: int,
) -> Path:
    """Writes a vocabulary for the tokenizer `model`. `values` are further keys below `tokenizer.ggml.`."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(64)
    writer.add_block_count(1)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_array("tokenizer.ggml.tokens", list(tokens))
    if model in ("gpt2", "gemma4", "whitespace"):
        writer.add_token_merges(["a b"])
    for key, value in values.items():
        add = writer.add_bool if isinstance(value, bool) else writer.add_uint32
        add(f"tokenizer.ggml.{key}", value)
    if vocab_size is not None:
        writer.add_vocab_size(vocab_size)
    if types is not None:
        writer.add_token_types(types)
    if scores is not None:
        writer.add_token_scores(scores)
    if charsmap is not None:
        writer.add_precompiled_charsmap(charsmap)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path
