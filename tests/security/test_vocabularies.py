"""Vocabularies that end the process which loads them or tokenises with them: the store refuses them first.

A child process shows for each one that llama.cpp does not survive it. Where that fails for a new version of llama.cpp,
the store's check is needed no more.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support import vocabulary_loader
from support.charsmaps import replace_a
from support.ollama_layout import OllamaFolder
from support.vocabularies import RWKV_BYTES, SENTENCEPIECE, UNIGRAM, WORDS, write_vocabulary

from remuda.settings import Settings
from store.errors import CorruptModelError
from store.gguf.header import read_gguf
from store.gguf.vocabulary import MAX_TOKEN
from store.library import Library

HUGE = 300_000
SCORES = [0.0] * len(UNIGRAM)


def without(tokens: list[bytes], token: bytes) -> list[bytes]:
    return [other for other in tokens if other != token]


@dataclass(frozen=True)
class Case:
    """A vocabulary, and a text that it does not survive."""

    id: str
    model: str
    tokens: list[bytes]
    text: str
    reason: str
    more: dict[str, Any] = field(default_factory=dict[str, Any])


DEADLY = [
    Case("equal tokens of SentencePiece", "llama", [*SENTENCEPIECE, b"a", b"a"], "a", "two equal tokens"),
    Case("equal tokens of byte pairs", "gpt2", [*WORDS, b"a", b"a"], "a", "two equal tokens"),
    Case("equal tokens of WordPiece", "bert", [*WORDS, b"a", b"a"], "a", "two equal tokens"),
    Case("equal until a zero byte", "llama", [*SENTENCEPIECE, b"a\0b", b"a\0c"], "a", "two equal tokens"),
    Case("an empty token's name", "llama", [*SENTENCEPIECE, b"", b"[EMPTY_259]"], "a", "two equal tokens"),
    Case("no tokens for bytes", "llama", [b"<unk>", b"<s>", b"</s>", b"a"], "é", "no token for 255 of the 256 bytes"),
    Case("a byte lacks", "llama", without(SENTENCEPIECE, b"<0x7F>"), "\x7f", "no token for 1 of the 256 bytes"),
    Case("a token as long as a book", "t5", [*UNIGRAM, b"a" * HUGE], "a", f"too long: {HUGE} bytes"),
    Case("no beginning", "gpt2", WORDS[:5], "a", "needs a tokenizer.ggml.bos_token_id", {"add_bos_token": True}),
    Case("no beginning for Llama 3", "gpt2", WORDS[:5], "a", "needs a tokenizer.ggml.bos_", {"pre": "llama-bpe"}),
    Case("no beginning for Gemma 4", "gemma4", WORDS, "a", "needs a tokenizer.ggml.bos_token_id"),
    Case(
        "no beginning where it is forced",
        "gpt2",
        WORDS[:5],
        "a",
        "needs a tokenizer.ggml.bos_token_id",
        {"pre": "granite-embed-multi-311m", "add_bos_token": False},
    ),
    Case("no end", "gpt2", WORDS[:5], "a", "needs a tokenizer.ggml.eos_token_id", {"add_eos_token": True}),
    Case("spaces that are not split", "gpt2", WORDS, "a  b", "needs the tokenizer.ggml.model", {"pre": "whitespace"}),
    Case("WordPiece with bytes", "bert", WORDS, "a", "tokens for bytes", {"types": [1] * 119 + [6]}),
    Case("WordPiece without a separator", "bert", WORDS[:102], "a", "needs a tokenizer.ggml.seperator_token_id"),
    Case(
        "WordPiece without an unknown token",
        "bert",
        WORDS[:50],
        "b",
        "needs a tokenizer.ggml.unknown_token_id",
        {"bos_token_id": 1, "seperator_token_id": 2},
    ),
    Case(
        "a normalisation beyond the table",
        "t5",
        UNIGRAM,
        "a",
        "leads out of itself",
        {"scores": SCORES, "charsmap": replace_a(9, b"x\0")},
    ),
    Case(
        "a normalisation without an end",
        "t5",
        UNIGRAM,
        "a",
        "leads out of itself",
        {"scores": SCORES, "charsmap": replace_a(0, b"xx")},
    ),
    Case("RWKV reads for ever", "rwkv", [b"<s>", b"\\n", b"ab"], "a", "no token for 255 of"),
    Case("RWKV with unknown bytes", "rwkv", [b"<s>", *without(RWKV_BYTES, b"b")], "b", "no token for 1 of"),
]


HEALTHY = [
    Case("SentencePiece", "llama", [*SENTENCEPIECE, b"", b""], "a\x01é☃", ""),
    Case("byte pairs", "gpt2", WORDS, "a b", ""),
    Case("Gemma 4", "gemma4", WORDS, "a b", "", {"bos_token_id": 1}),
    Case("whitespace", "whitespace", WORDS, "a  b", "", {"pre": "whitespace"}),
    Case("WordPiece", "bert", WORDS, "word1 é", ""),
    Case("Unigram", "t5", UNIGRAM, "ab", "", {"scores": SCORES, "charsmap": replace_a(0, b"x\0")}),
    Case("a long token", "t5", [*UNIGRAM, b"a" * MAX_TOKEN], "ab", "", {"scores": [*SCORES, 0.0]}),
    Case("RWKV", "rwkv", [b"<s>", *RWKV_BYTES], "ab\né", ""),
    Case("PLaMo 2", "plamo2", [b"<unk>", *SENTENCEPIECE[3:]], "ab", "", {"types": [2] + [6] * 256}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of all cases, by their ids."""
    folder = tmp_path_factory.mktemp("vocabularies")
    for case in DEADLY + HEALTHY:
        write_vocabulary(folder / case.id, case.model, case.tokens, **case.more)
    return folder


@pytest.fixture(scope="module")
def exit_codes(folder: Path) -> dict[str, int]:
    """How a child process ends that loads a case's vocabulary by llama.cpp and uses it, by the case's id."""
    cases = DEADLY + HEALTHY
    arguments = [argument for case in cases for argument in (str(folder / case.id), case.text)]
    loader = subprocess.run(
        [sys.executable, vocabulary_loader.__file__, *arguments],
        env=os.environ | {"GGML_NO_BACKTRACE": "1"},
        capture_output=True,
        check=True,
    )
    return {case.id: int(code) for case, code in zip(cases, loader.stdout.split(), strict=True)}


@pytest.mark.parametrize("case", DEADLY, ids=lambda case: case.id)
async def test_a_vocabulary_that_kills_its_reader_is_refused(
    case: Case, folder: Path, exit_codes: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = OllamaFolder(tmp_path / "models")
    models.install("registry.ollama.ai/library/x/latest", models.layer("model", (folder / case.id).read_bytes()))
    monkeypatch.setenv("OLLAMA_MODELS", str(models.root))
    with pytest.raises(CorruptModelError, match=case.reason):
        await Library(Settings()).resolve("x")
    assert exit_codes[case.id] in (-signal.SIGABRT, -signal.SIGSEGV)


@pytest.mark.parametrize("case", HEALTHY, ids=lambda case: case.id)
def test_a_vocabulary_that_its_reader_survives_is_accepted(
    case: Case, folder: Path, exit_codes: dict[str, int]
) -> None:
    assert read_gguf(folder / case.id).text("tokenizer.ggml.model") == case.model
    assert exit_codes[case.id] == 0
