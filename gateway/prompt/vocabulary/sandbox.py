"""The tokenizer process: tokenises long texts (`remuda.sandbox.child`).

llama.cpp's pre-tokenizers recurse once for each character of a word without end, so that some texts take more stack
than a process has. A thread gets a stack for the text at hand, up to a bound. Beyond it the kernel kills the process.

A question is a JSON object {"files", "texts", "kind", "limit"}, an answer {"tokens"} or {"error"}.
"""

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import orjson

from gateway.errors import GatewayError
from gateway.prompt.vocabulary.tokenizer import TextKind, Tokenizer
from remuda.bare_vocabulary import drop_line, send_log_to
from remuda.sandbox.child import on_stack, serve

STACK_PER_CHARACTER = 512
"""Bytes. llama.cpp takes 324, the same in all of its pre-tokenizers."""
LEAST_STACK = 1 << 20

Vocabularies = Callable[[tuple[str, ...]], Tokenizer]


def main() -> None:
    """Usage: python -m gateway.prompt.vocabulary.sandbox BOUNDS... STACK_BYTES CACHE_SIZE"""
    *bounds, cache_size = sys.argv[1:]
    send_log_to(drop_line)
    serve("tokenizer", bounds, partial(_answer, lru_cache(int(cache_size))(_load)))


def _load(files: tuple[str, ...]) -> Tokenizer:
    return Tokenizer(files[0], files[1:])


def _answer(vocabularies: Vocabularies, question: bytes, stack: int) -> bytes:
    asked = orjson.loads(question)
    longest = max(map(len, asked["texts"]), default=0)
    needed = min(LEAST_STACK + longest * STACK_PER_CHARACTER, stack) & -LEAST_STACK
    return on_stack(needed, partial(_reply, vocabularies, asked))


def _reply(vocabularies: Vocabularies, asked: dict[str, Any]) -> bytes:
    try:
        tokenizer = vocabularies(tuple(asked["files"]))
    except GatewayError as error:
        return orjson.dumps({"error": error.message})
    kind, limit = TextKind(asked["kind"]), asked["limit"]
    return orjson.dumps({"tokens": [ends(tokenizer.tokenize(text, kind), limit) for text in asked["texts"]]})


def ends(tokens: Sequence[int], limit: int | None) -> Sequence[int]:
    """The first and the last `limit` tokens of those that are more than both."""
    return tokens if limit is None or len(tokens) <= 2 * limit else [*tokens[:limit], *tokens[-limit:]]


if __name__ == "__main__":
    main()
