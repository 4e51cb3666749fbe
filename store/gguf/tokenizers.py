"""What each of llama.cpp's tokenizers needs of a vocabulary. Where it is missing, some text ends the process."""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass

import numpy as np

from store.gguf.charsmap import check_charsmap
from store.gguf.reader import InvalidGgufError

MAX_SUFFIXES = 64 << 20
"""Sum of the squares of PLaMo 2's token lengths: llama.cpp keeps every ending of every token."""
BYTE_TYPE = 6
PLAIN_SPLITTING = ("", "default")
"""Values of `tokenizer.ggml.pre` with which no beginning of a text is added by itself."""
FORCED_BEGINNING = ("gemma4", "granite-embed-multi-311m")
"""Those with which one is added whatever the file says."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a tokenizer is made from."""

    model: str
    """The tokenizer's name in GGUF files."""
    tokens: Set[bytes]
    types: bytes
    """An i32 for each token, or nothing."""
    charsmap: bytes
    metadata: Mapping[str, object]

    @property
    def pre(self) -> object:
        """How a text is split before it is tokenised."""
        return self.metadata.get("tokenizer.ggml.pre", "")

    def adds(self, end: str, *, default: bool) -> bool:
        """Whether every text gets the token `bos` or `eos`."""
        value = self.metadata.get(f"tokenizer.ggml.add_{end}_token")
        return value if isinstance(value, bool) else default

    def require(self, name: str, default: int | None) -> None:
        """Raises InvalidGgufError where there is no such special token. A number beyond the vocabulary counts as
        none, and `default` is llama.cpp's."""
        key = f"tokenizer.ggml.{name}_token_id"
        if not any(isinstance(it, int) and 0 <= it < len(self.tokens) for it in (self.metadata.get(key), default)):
            raise InvalidGgufError(f"its vocabulary needs a {key}")


def check_tokenizer(vocabulary: Vocabulary) -> None:
    """Raises InvalidGgufError. Passes tokenizers that llama.cpp does not know, since it refuses them itself."""
    check = _CHECKS.get(vocabulary.model)
    if check is not None:
        check(vocabulary)


def _check_sentencepiece(vocabulary: Vocabulary) -> None:
    """What forms no token is written as bytes: `<0x0A>`, or the byte itself."""
    spellings = ({f"<0x{byte:02X}>".encode(), bytes([byte])} for byte in range(256))
    _check_bytes(vocabulary, spellings)
    if vocabulary.adds("bos", default=True):
        vocabulary.require("bos", 1)
    if vocabulary.adds("eos", default=False):
        vocabulary.require("eos", 2)


def _check_wordpiece(vocabulary: Vocabulary) -> None:
    """Every text begins with `bos` and ends with the separator; what forms no word is unknown."""
    for name, default in (("bos", 101), ("seperator", 102), ("unknown", 100)):
        vocabulary.require(name, default)
    if BYTE_TYPE in np.frombuffer(vocabulary.types, "<i4"):
        raise InvalidGgufError("its vocabulary has tokens for bytes, which a bert vocabulary cannot have")


def _check_unigram(vocabulary: Vocabulary) -> None:
    vocabulary.require("unknown", 2)
    if vocabulary.adds("bos", default=False):
        vocabulary.require("bos", None)
    if vocabulary.adds("eos", default=True):
        vocabulary.require("eos", 1)
    check_charsmap(vocabulary.charsmap)


def _check_byte_pairs(vocabulary: Vocabulary) -> None:
    if vocabulary.pre == "whitespace" and vocabulary.model != "whitespace":
        raise InvalidGgufError("its tokenizer.ggml.pre needs the tokenizer.ggml.model whitespace")
    if vocabulary.pre in FORCED_BEGINNING or vocabulary.adds("bos", default=vocabulary.pre not in PLAIN_SPLITTING):
        vocabulary.require("bos", 11)
    if vocabulary.adds("eos", default=False):
        vocabulary.require("eos", 11)


def _check_gemma4(vocabulary: Vocabulary) -> None:
    vocabulary.require("bos", None)
    if vocabulary.adds("eos", default=False):
        vocabulary.require("eos", None)


def _check_rwkv(vocabulary: Vocabulary) -> None:
    """A text that begins with no whole token is read for ever."""
    _check_bytes(vocabulary, map(_rwkv_spellings, range(256)))


def _check_plamo2(vocabulary: Vocabulary) -> None:
    if sum(len(token) ** 2 for token in vocabulary.tokens) > MAX_SUFFIXES:
        raise InvalidGgufError("the tokens of its vocabulary are too long for PLaMo 2")


def _check_bytes(vocabulary: Vocabulary, spellings: Iterable[Set[bytes]]) -> None:
    """Each byte has a token in one of its spellings."""
    missing = sum(vocabulary.tokens.isdisjoint(spelling) for spelling in spellings)
    if missing:
        raise InvalidGgufError(f"its vocabulary has no token for {missing} of the 256 bytes")


def _rwkv_spellings(byte: int) -> Set[bytes]:
    """The byte itself, or escaped as in Python. A single backslash escapes nothing and is an empty token."""
    return {bytes([byte]), f"\\x{byte:02x}".encode(), _ESCAPES.get(byte, b"")} - {b"\\", b""}


_ESCAPES = {ord("\t"): b"\\t", ord("\n"): b"\\n", ord("\r"): b"\\r", ord("\\"): b"\\\\"}

_CHECKS: Mapping[str, Callable[[Vocabulary], None]] = {
    "llama": _check_sentencepiece,
    "bert": _check_wordpiece,
    "t5": _check_unigram,
    "gpt2": _check_byte_pairs,
    "hybriddna": _check_byte_pairs,
    "whitespace": _check_byte_pairs,
    "gemma4": _check_gemma4,
    "rwkv": _check_rwkv,
    "plamo2": _check_plamo2,
}
