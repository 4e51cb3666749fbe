"""The trial process: lets llama.cpp load a vocabulary and tokenise with it (`remuda.sandbox.child`).

llama.cpp aborts on some vocabularies, and on some texts. Here that costs an answer.

A question is a JSON object {"files", "length"}, an answer {"longest_token"} or {"error"}.
"""

import ctypes
import sys
from typing import Any

import orjson

from remuda.bare_vocabulary import C, drop_line, load_vocabulary, send_log_to
from remuda.sandbox.child import serve

UNITS = (
    *("a", "Z", "\u00e9", "\u4e2d", "\u0301", "\U0001f600"),
    *("1", "!", "_", "<", " ", "\n", "\t", "\r", "\0", "\u00a0", "\u3000"),
    *("ab ", "a1 ", "a  b", "'s", "A\n", " \n", "<|a|>"),
)
"""What texts of one kind consist of. Each stands for a branch of llama.cpp's pre-tokenizers."""


def main() -> None:
    """Usage: python -m store.trial.sandbox BOUNDS..."""
    send_log_to(drop_line)
    serve("trial", sys.argv[1:], _answer)


def _answer(question: bytes) -> bytes:
    asked = orjson.loads(question)
    model = load_vocabulary(asked["files"])
    if not model:
        return orjson.dumps({"error": "it cannot be read"})
    vocabulary = C.llama_model_get_vocab(model)
    for unit in UNITS if asked["length"] else ():
        _tokenize(vocabulary, (unit * asked["length"])[: asked["length"]].encode())
    longest = max(map(len, _texts(vocabulary)), default=0)
    C.llama_model_free(model)
    return orjson.dumps({"longest_token": longest})


def _tokenize(vocabulary: Any, text: bytes) -> None:
    room = len(text) + 2
    tokens = (ctypes.c_int32 * room)()
    for is_prompt in (True, False):
        C.llama_tokenize(vocabulary, text, len(text), tokens, room, is_prompt, is_prompt)


def _texts(vocabulary: Any) -> list[bytes]:
    return [C.llama_vocab_get_text(vocabulary, token) or b"" for token in range(C.llama_vocab_n_tokens(vocabulary))]


if __name__ == "__main__":
    main()
