"""What the check of vocabularies refuses and lets pass, beside what `tests/security/test_vocabularies.py` shows."""

from pathlib import Path
from typing import Any

import pytest
from support.charsmaps import BASE_SHIFT, BLOCK, charsmap, replace_a
from support.vocabularies import RWKV_BYTES, SENTENCEPIECE, UNIGRAM, WORDS, write_vocabulary

from remuda.settings.store import EMBEDDED_MODEL
from store.gguf.charsmap import MAX_CHARSMAP
from store.gguf.header import read_gguf
from store.gguf.reader import InvalidGgufError
from store.gguf.vocabulary import MAX_TOKEN, MAX_TOKENS, MAX_VOCABULARY

LONG = [str(number).zfill(MAX_TOKEN).encode() for number in range(8)]


def write(folder: Path, model: str, tokens: list[bytes], **more: Any) -> Path:
    return write_vocabulary(folder / "made.gguf", model, tokens, **more)


def test_the_embedded_model_passes() -> None:
    assert read_gguf(Path(EMBEDDED_MODEL)).text("tokenizer.ggml.model")


@pytest.mark.parametrize(
    ("model", "tokens", "more"),
    [
        ("llama", [*SENTENCEPIECE, b"", b""], {}),  # empty tokens get names
        ("llama", [*SENTENCEPIECE[:68], b"A", *SENTENCEPIECE[69:]], {}),  # a byte's token may be the byte itself
        ("llama", SENTENCEPIECE, {"bos_token_id": 1 << 31}),  # numbers that are too large count as none
        ("llama", SENTENCEPIECE[:1] + SENTENCEPIECE[3:], {"add_bos_token": False}),
        ("gpt2", WORDS[:5], {}),
        ("gpt2", WORDS[:5], {"pre": "llama-bpe", "add_bos_token": False}),
        ("t5", UNIGRAM, {"scores": [0.0] * 200}),  # more scores than tokens
        ("rwkv", [b"<s>", *(bytes([byte]) for byte in range(1, 256) if byte != ord("\\")), b"\\x00", b"\\\\"], {}),
        ("an algorithm to come", [b"a"], {}),  # llama.cpp refuses it
    ],
)
def test_lets_pass_what_llama_cpp_survives(tmp_path: Path, model: str, tokens: list[bytes], more: Any) -> None:
    assert read_gguf(write(tmp_path, model, tokens, **more)).text("tokenizer.ggml.model") == model


@pytest.mark.parametrize(
    ("model", "tokens", "more", "reason"),
    [
        ("gpt2", WORDS, {"types": [1] * 119}, "token_type has 119 entries for 120 tokens"),
        ("gpt2", WORDS, {"scores": [1.0] * 119}, "scores has 119 entries for 120 tokens"),
        ("gpt2", [b"a" * (MAX_TOKEN + 1)], {}, "too long"),
        (
            "gpt2",
            [str(number).zfill(MAX_TOKEN).encode() for number in range(MAX_VOCABULARY // MAX_TOKEN + 1)],
            {},
            "take",
        ),
        ("plamo2", [str(number).zfill(MAX_TOKEN).encode() for number in range(8)], {}, "too long for PLaMo 2"),
        ("rwkv", [b"<s>", *(token for token in RWKV_BYTES if token != rb"\n")], {}, "no token for 1 of the 256 bytes"),
        ("t5", UNIGRAM, {"add_bos_token": True}, "needs a tokenizer.ggml.bos_token_id"),
        ("t5", UNIGRAM[:1], {"unknown_token_id": 0}, "needs a tokenizer.ggml.eos_token_id"),
    ],
)
def test_refuses(tmp_path: Path, model: str, tokens: list[bytes], more: Any, reason: str) -> None:
    with pytest.raises(InvalidGgufError, match=reason):
        read_gguf(write(tmp_path, model, tokens, **more))


@pytest.mark.parametrize("model", ["none", "no_vocab"])
@pytest.mark.parametrize(("size", "passes"), [(MAX_TOKENS, True), (MAX_TOKENS + 1, False)])
def test_a_model_without_a_vocabulary_has_a_plausible_size(tmp_path: Path, model: str, size: int, passes: bool) -> None:
    path = write_vocabulary(tmp_path / "made.gguf", model, [b"a"], vocab_size=size)
    if passes:
        read_gguf(path)
    else:
        with pytest.raises(InvalidGgufError, match="vocab_size"):
            read_gguf(path)


@pytest.mark.parametrize(
    ("table", "passes"),
    [
        (b"", True),
        (b"\0\0\0", True),  # llama.cpp refuses it
        (charsmap([], b"x\0"), True),
        (replace_a(0, b"x\0"), True),
        (replace_a(1, b"x\0"), True),  # the empty text
        (replace_a(2, b"x\0"), False),
        (replace_a(0, b"xx"), False),
        (replace_a(0, b""), False),
        (charsmap([BLOCK << BASE_SHIFT, *range(1, BLOCK)], b"x\0"), False),  # children beyond the table
        (charsmap([1 << 9 | 1 << BASE_SHIFT, *range(1, BLOCK)], b"x\0"), False),  # the same with a shifted distance
        (charsmap(list(range(BLOCK - 1)), b"x\0"), False),  # half a block
        (replace_a(0, b"x\0".ljust(MAX_CHARSMAP, b"\0")), False),  # too large
    ],
)
def test_a_table_of_normalisations_leads_nowhere_else(tmp_path: Path, table: bytes, passes: bool) -> None:
    path = write(tmp_path, "t5", UNIGRAM, scores=[0.0] * len(UNIGRAM), charsmap=table)
    if passes:
        read_gguf(path)
    else:
        with pytest.raises(InvalidGgufError, match="precompiled_charsmap"):
            read_gguf(path)
