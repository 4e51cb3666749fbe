"""A model's vocabulary."""

import ctypes
from typing import Any

from workers.engine.llama import C

PIECE_BYTES = 256
"""Room for one token's text. A longer text makes llama.cpp return the size that it needs."""


class Vocabulary:
    """Token ids and their bytes."""

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer
        self.size: int = C.llama_vocab_n_tokens(pointer)
        self.adds_bos: bool = C.llama_vocab_get_add_bos(pointer)
        self._pieces: list[bytes | None] = [None] * self.size
        self.end_of_generation = frozenset(t for t in range(self.size) if C.llama_vocab_is_eog(pointer, t))

    def piece(self, token: int) -> bytes:
        """Returns the bytes of a token: sometimes part of a UTF-8 character, empty for control tokens."""
        piece = self._pieces[token]
        if piece is None:
            piece = self._pieces[token] = _read_piece(self.pointer, token, names_control=False)
        return piece

    def name(self, token: int) -> bytes:
        """Returns the bytes of a token, or the name of a control token."""
        return _read_piece(self.pointer, token, names_control=True)

    def is_special(self, token: int) -> bool:
        """Whether no text is meant to spell the token: it is a control token, or one of a user's in angle brackets."""
        attributes = C.llama_vocab_get_attr(self.pointer, token)
        if attributes & C.LLAMA_TOKEN_ATTR_USER_DEFINED:
            name = self.name(token)
            return name.startswith(b"<") and name.endswith(b">")
        return bool(attributes & C.LLAMA_TOKEN_ATTR_CONTROL)


def _read_piece(vocabulary: Any, token: int, *, names_control: bool) -> bytes:
    buffer = ctypes.create_string_buffer(PIECE_BYTES)
    length = C.llama_token_to_piece(vocabulary, token, buffer, len(buffer), 0, names_control)
    if length < 0:
        buffer = ctypes.create_string_buffer(-length)
        length = C.llama_token_to_piece(vocabulary, token, buffer, len(buffer), 0, names_control)
    return buffer.raw[:length]
