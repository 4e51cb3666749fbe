"""Converts text to tokens and back, by a llama.cpp model that is loaded without its weights."""

import ctypes
import weakref
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property

from gateway.errors import internal, invalid
from gateway.prompt.infill import InfillMarks
from remuda.bare_vocabulary import C, load_vocabulary

NULL_TOKEN = -1


class TextKind(StrEnum):
    """What a text is, which decides about special tokens."""

    PROMPT = "prompt"
    """A whole prompt: special tokens are recognised, and one BOS is added where the model wants it."""
    PART = "part"
    """A part of a prompt: special tokens are recognised, none is added."""
    PLAIN = "plain"
    """Text that is not the template's: no special token is recognised or added."""


class Tokenizer:
    """One model's tokenizer. Its calls are thread-safe and release the GIL."""

    def __init__(self, path: str, split_paths: Sequence[str] = (), *, is_fragile: bool = False) -> None:
        """`split_paths`: the further files of a split model, which llama.cpp opens too. With a fragile vocabulary only
        `tokenize` may end the process. Raises GatewayError where the vocabulary cannot be read."""
        self._is_fragile = is_fragile
        self._model = load_vocabulary((path, *split_paths))
        if not self._model:
            raise internal("unable to load model: its vocabulary cannot be read")
        weakref.finalize(self, C.llama_model_free, self._model)
        self._vocab = C.llama_model_get_vocab(self._model)
        self.adds_bos = bool(C.llama_vocab_get_add_bos(self._vocab))
        self.bos_text = self._text_of(C.llama_vocab_bos(self._vocab))
        self.eos_text = self._text_of(C.llama_vocab_eos(self._vocab))

    def tokenize(self, text: str, kind: TextKind = TextKind.PROMPT) -> list[int]:
        """The ids of a text."""
        if kind is TextKind.PROMPT and self.adds_bos and self.bos_text:
            text = text.removeprefix(self.bos_text)
        return self._tokenize(text, add_special=kind is TextKind.PROMPT, parse_special=kind is not TextKind.PLAIN)

    def _tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 2  # no tokenizer makes more tokens than bytes, save for BOS and EOS
        tokens = (ctypes.c_int32 * room)()
        count = C.llama_tokenize(self._vocab, data, len(data), tokens, room, add_special, parse_special)
        if count < 0:
            tokens = (ctypes.c_int32 * -count)()
            count = C.llama_tokenize(self._vocab, data, len(data), tokens, -count, add_special, parse_special)
        return tokens[:count]

    @cached_property
    def infill(self) -> InfillMarks | None:
        """The tokens that mark a gap; None for a model without them."""
        marks = [C.llama_vocab_fim_pre(self._vocab), C.llama_vocab_fim_suf(self._vocab)]
        marks.append(C.llama_vocab_fim_mid(self._vocab))
        bos = C.llama_vocab_bos(self._vocab) if self.adds_bos else NULL_TOKEN
        return None if NULL_TOKEN in marks else InfillMarks(*marks, bos=None if bos == NULL_TOKEN else bos)

    def text_of(self, tokens: Sequence[int], source: str) -> str:
        """The text of ids that a client sent in the field `source`. Raises GatewayError for an unknown id."""
        if tokens and not 0 <= min(tokens) <= max(tokens) < C.llama_vocab_n_tokens(self._vocab):
            raise invalid(f"{source} contains invalid tokens")
        return self.detokenize(tokens)

    @cached_property
    def closing(self) -> list[int]:
        """The special token that ends every tokenised text; empty for a model that adds none."""
        if self._is_fragile:
            return []
        candidates = (C.llama_vocab_get_add_sep, C.llama_vocab_sep), (C.llama_vocab_get_add_eos, C.llama_vocab_eos)
        endings = {token(self._vocab) for is_added, token in candidates if is_added(self._vocab)}
        return [token for token in self.tokenize("")[-1:] if token in endings]

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids, all of which must exist. Special tokens are written out."""
        start = 1 if tokens and self.adds_bos and tokens[0] == C.llama_vocab_bos(self._vocab) else 0
        ids = (ctypes.c_int32 * (len(tokens) - start))(*tokens[start:])
        buffer = ctypes.create_string_buffer(max(len(tokens) * 8, 64))
        length = C.llama_detokenize(self._vocab, ids, len(ids), buffer, len(buffer), False, True)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = C.llama_detokenize(self._vocab, ids, len(ids), buffer, len(buffer), False, True)
        return buffer.raw[:length].decode("utf-8", "replace")

    def special_token(self, text: str) -> int | None:
        """The special token whose text is `text`, if there is one.

        As in llguidance these are control tokens, and user-defined tokens in angle brackets.
        """
        if self._is_fragile:
            return None
        data = text.encode()
        tokens = (ctypes.c_int32 * (len(data) + 2))()
        if C.llama_tokenize(self._vocab, data, len(data), tokens, len(tokens), False, True) != 1:
            return None
        attributes = C.llama_vocab_get_attr(self._vocab, tokens[0])
        is_bracketed = attributes & C.LLAMA_TOKEN_ATTR_USER_DEFINED and text.startswith("<") and text.endswith(">")
        return tokens[0] if is_bracketed or attributes & C.LLAMA_TOKEN_ATTR_CONTROL else None

    @cached_property
    def end_of_generation(self) -> tuple[int, ...]:
        """The tokens that end a reply."""
        size = C.llama_vocab_n_tokens(self._vocab)
        return tuple(token for token in range(size) if C.llama_vocab_is_eog(self._vocab, token))

    def _text_of(self, token: int) -> str:
        if token == NULL_TOKEN:
            return ""
        return (C.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", "replace")
