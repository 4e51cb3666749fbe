"""The trial process: lets llama.cpp load a vocabulary and tokenise with it (`remuda.sandbox.child`).

llama.cpp aborts on some vocabularies, and on some texts. Here that costs an answer.

A question is a JSON object {"files", "length"}, an answer {"longest_token"} or {"error"}.
"""

import ctypes
import sys
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as _untyped
import orjson

from remuda.sandbox.child import serve

C: Any = _untyped  # the bindings are only partly typed

UNITS = (
    *("a", "Z", "\u00e9", "\u4e2d", "\u0301", "\U0001f600"),
    *("1", "!", "_", "<", " ", "\n", "\t", "\r", "\0", "\u00a0", "\u3000"),
    *("ab ", "a1 ", "a  b", "'s", "A\n", " \n", "<|a|>"),
)
"""What texts of one kind consist of. Each stands for a branch of llama.cpp's pre-tokenizers."""


def main() -> None:
    """Usage: python -m store.trial.sandbox BOUNDS..."""
    silence = C.llama_log_callback(_ignore)  # kept here: llama.cpp has only a pointer
    C.llama_log_set(silence, ctypes.c_void_p(0))
    serve("trial", sys.argv[1:], _answer)


def _ignore(level: int, text: bytes, data: Any) -> None:
    del level, text, data


def _answer(question: bytes) -> bytes:
    asked = orjson.loads(question)
    model = _load(asked["files"])
    if not model:
        return orjson.dumps({"error": "it cannot be read"})
    vocabulary = C.llama_model_get_vocab(model)
    for unit in UNITS if asked["length"] else ():
        _tokenize(vocabulary, (unit * asked["length"])[: asked["length"]].encode())
    longest = max(map(len, _texts(vocabulary)), default=0)
    C.llama_model_free(model)
    return orjson.dumps({"longest_token": longest})


def _load(files: Sequence[str]) -> Any:
    params = C.llama_model_default_params()
    params.vocab_only = True
    no_devices = (ctypes.c_void_p * 1)()  # or else llama.cpp opens each GPU
    params.devices = ctypes.cast(no_devices, ctypes.c_void_p)
    names = (ctypes.c_char_p * len(files))(*(file.encode() for file in files))
    return C.llama_model_load_from_splits(names, len(files), params)


def _tokenize(vocabulary: Any, text: bytes) -> None:
    room = len(text) + 2
    tokens = (ctypes.c_int32 * room)()
    for is_prompt in (True, False):
        C.llama_tokenize(vocabulary, text, len(text), tokens, room, is_prompt, is_prompt)


def _texts(vocabulary: Any) -> list[bytes]:
    return [C.llama_vocab_get_text(vocabulary, token) or b"" for token in range(C.llama_vocab_n_tokens(vocabulary))]


if __name__ == "__main__":
    main()
