"""Vocabularies of llama.cpp's BPE kind, without weights: a token for each byte, split by a pre-tokenizer by name."""

from collections.abc import Sequence
from pathlib import Path

import gguf

PRINTED = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
"""Bytes that GPT-2's byte alphabet writes as themselves."""


def write_bpe_vocabulary(path: Path, pre_tokenizer: str, more_tokens: Sequence[str] = ()) -> Path:
    """Writes a GGUF that holds a vocabulary alone. `more_tokens` follow the bytes, in the byte alphabet."""
    tokens = [*_byte_alphabet(), *more_tokens, "qq"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer)
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(tokens))
    writer.add_token_merges(["q q"])
    writer.add_add_bos_token(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def _byte_alphabet() -> list[str]:
    """GPT-2's character for each byte, in the order of the bytes."""
    others = iter(range(256, 512))
    return [chr(byte) if byte in PRINTED else chr(next(others)) for byte in range(256)]
