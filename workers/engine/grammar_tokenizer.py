"""A vocabulary as llguidance needs it: the bytes of all tokens, and llama.cpp's tokeniser for text that must come."""

import ctypes
from typing import Any, cast

from llguidance import LLTokenizer

from workers.engine.llama import C
from workers.engine.vocabulary import Vocabulary

FORCED_BYTES = 1024
"""Bytes that are tokenised of a text that must come. llguidance takes one token of them, and a draft some more. Whole
texts take time with every token, and the regular expressions of llama.cpp's tokenisers overflow the stack of a thread
at 30,000 characters."""
TOKEN_BYTES = FORCED_BYTES // 4
"""Bytes of the longest token that output under a grammar may have. llguidance puts the last two tokens aside, because
more text could change them, and begins with the last token that came: one more has to be left."""

SPECIAL = b"\xff"
"""llguidance's mark of a token that no text spells."""


@ctypes.CFUNCTYPE(
    ctypes.c_int32,
    C.llama_vocab_p_ctypes,
    ctypes.c_void_p,
    ctypes.c_int32,
    C.llama_token_p,
    ctypes.c_int32,
    ctypes.c_bool,
    ctypes.c_bool,
)
def _tokenize_beginning(
    vocabulary: int, text: int, size: int, tokens: Any, room: int, add_special: bool, parse_special: bool
) -> int:
    """llama_tokenize, of whole characters at the beginning of the text."""
    beginning = ctypes.string_at(text, min(size, FORCED_BYTES)).decode(errors="ignore").encode()
    return C.llama_tokenize(vocabulary, beginning, len(beginning), tokens, room, add_special, parse_special)


def grammar_tokenizer(vocabulary: Vocabulary) -> LLTokenizer:
    """Takes about a second for a large vocabulary, which has to outlive the result."""
    return cast(Any, LLTokenizer).from_llamacpp(
        tokens=[_spelling(vocabulary, token) for token in range(vocabulary.size)],
        vocab_ptr=vocabulary.pointer,
        tokenize_fptr=ctypes.cast(_tokenize_beginning, ctypes.c_void_p).value,
        eos_token=sorted(vocabulary.end_of_generation),
    )


def _spelling(vocabulary: Vocabulary, token: int) -> bytes:
    """The bytes that llguidance allows the token for; none where it is never allowed."""
    if vocabulary.is_special(token):
        return SPECIAL + vocabulary.name(token)
    piece = vocabulary.name(token)
    return piece if len(piece) <= TOKEN_BYTES else b""
