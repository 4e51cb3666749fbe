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
        self._buffer = ctypes.create_string_buffer(PIECE_BYTES)
        self.end_of_generation = frozenset(t for t in range(self.size) if C.llama_vocab_is_eog(pointer, t))

    def piece(self, token: int) -> bytes:
        """Returns the bytes of a token: sometimes part of a UTF-8 character, empty for control tokens."""
        piece = self._pieces[token]
        if piece is None:
            piece = self._pieces[token] = self._read_piece(token)
        return piece

    def _read_piece(self, token: int) -> bytes:
        length = C.llama_token_to_piece(self.pointer, token, self._buffer, len(self._buffer), 0, False)
        if length < 0:
            self._buffer = ctypes.create_string_buffer(-length)
            length = C.llama_token_to_piece(self.pointer, token, self._buffer, len(self._buffer), 0, False)
        return self._buffer.raw[:length]
