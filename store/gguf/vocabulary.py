"""Checks a GGUF file's vocabulary for what ends the process that loads it or tokenises with it.

llama.cpp asserts where it could refuse, and some of its tokenizers throw at certain texts: an exception that nobody can
catch across its C interface. What it refuses by itself is not checked here. Its rules (llama-cpp-python 0.3.36):
https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from store.gguf.reader import InvalidGgufError
from store.gguf.tokenizers import Vocabulary, check_tokenizer
from store.gguf.value_types import I8, I32, STRING, U8

TOKENS: Final = "tokenizer.ggml.tokens"
MERGES: Final = "tokenizer.ggml.merges"
SCORES: Final = "tokenizer.ggml.scores"
TYPES: Final = "tokenizer.ggml.token_type"
CHARSMAP: Final = "tokenizer.ggml.precompiled_charsmap"
COLUMNS: Final = frozenset({TOKENS, MERGES, SCORES, TYPES, CHARSMAP})
"""The arrays that make up a vocabulary."""
CONTENT_COLUMNS: Final = frozenset({TOKENS, TYPES, CHARSMAP})
"""Those of which the content is checked, and not the length alone."""

MAX_TOKENS = 1 << 19
"""Twice as many as Gemma 3 and 4 have."""
MAX_MERGES = 1 << 20
"""Twice as many as Gemma 4 has."""
MAX_TOKEN = 4096
"""Bytes. Real ones have up to 1,024. llama.cpp's prefix trees descend once for each: 300,000 overflow its stack."""
MAX_VOCABULARY = 8 << 20
"""Bytes of all tokens. Real ones take up to 3 MB, and 100 times as much in llama.cpp's prefix trees."""

_SIZES = {TOKENS: (MAX_TOKENS, MAX_TOKEN), MERGES: (MAX_MERGES, 2 * MAX_TOKEN + 1)}


@dataclass(frozen=True, slots=True)
class Column:
    """An array of the metadata: its type in the file, its length, and its content where that is wanted."""

    kind: int
    count: int
    strings: Sequence[bytes] = ()
    numbers: bytes = b""


def longest_string(key: str, count: int) -> int | None:
    """Most bytes of a string in the array `key`, None for arrays that are none of the vocabulary.

    Raises InvalidGgufError where the array is too long.
    """
    if key not in _SIZES:
        return None
    most, longest = _SIZES[key]
    if count > most:
        raise InvalidGgufError(f"its {key} has {count} entries, and at most {most} are allowed")
    return longest


def check_vocabulary(metadata: Mapping[str, object], columns: Mapping[str, Column]) -> None:
    """Raises InvalidGgufError where llama.cpp would not survive the vocabulary. A file may have none."""
    model, tokens = metadata.get("tokenizer.ggml.model"), columns.get(TOKENS)
    if model in ("none", "no_vocab"):
        _check_size(metadata)
    elif isinstance(model, str) and tokens is not None:
        _check_columns(tokens, columns)
        types, charsmap = _numbers(columns.get(TYPES), I32), _numbers(columns.get(CHARSMAP), I8, U8)
        check_tokenizer(Vocabulary(model, _distinct(tokens.strings), types, charsmap, metadata))


def _check_size(metadata: Mapping[str, object]) -> None:
    """A model without a vocabulary says how many tokens it knows; llama.cpp makes as many empty ones."""
    size = metadata.get(f"{metadata.get('general.architecture')}.vocab_size")
    if isinstance(size, int) and size > MAX_TOKENS:
        raise InvalidGgufError(f"its vocab_size is {size}, and at most {MAX_TOKENS} is allowed")


def _check_columns(tokens: Column, columns: Mapping[str, Column]) -> None:
    if tokens.kind != STRING or not tokens.count:
        raise InvalidGgufError("its vocabulary has no tokens")
    if sum(map(len, tokens.strings)) > MAX_VOCABULARY:
        raise InvalidGgufError(f"the tokens of its vocabulary take more than {MAX_VOCABULARY} bytes")
    for key in (SCORES, TYPES):
        if key in columns and columns[key].count < tokens.count:
            raise InvalidGgufError(f"its {key} has {columns[key].count} entries for {tokens.count} tokens")


def _numbers(column: Column | None, *kinds: int) -> bytes:
    """The content of an array of one of these types. llama.cpp refuses others."""
    return column.numbers if column is not None and column.kind in kinds else b""


def _distinct(tokens: Sequence[bytes]) -> frozenset[bytes]:
    """The tokens as llama.cpp tells them apart. Raises InvalidGgufError where two are equal."""
    distinct = frozenset(_names(tokens))
    if len(distinct) < len(tokens):
        raise InvalidGgufError("its vocabulary has two equal tokens")
    return distinct


def _names(tokens: Sequence[bytes]) -> Sequence[bytes]:
    """Tokens end at a zero byte, and empty ones are named by their number."""
    if all(tokens) and b"\0" not in b"".join(tokens):
        return tokens
    texts = (token.partition(b"\0")[0] for token in tokens)
    return [text or f"[EMPTY_{number}]".encode() for number, text in enumerate(texts)]
