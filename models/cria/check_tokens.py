"""Compares the tokens of a running llama-server with those of the ``tokenizers`` package.

``python -m models.cria.check_tokens --url http://127.0.0.1:8080``
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from collections.abc import Iterator
from random import Random

from models.cria.corpus import documents
from models.cria.tokens import CONTROL, VISIBLE, load

_STRINGS = (
    "",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    " \t ",
    "a  b",
    "a   b ",
    "a\n\n\nb",
    "  a",
    "a\n  b",
    " \n ",
    "\n \n",
    "123456",
    "1 2  3",
    "x1y22",
    "3.14",
    "½²",
    "Ⅷ",
    "٣٤",
    "1,000.50",
    "don't",
    "DON'T",
    "we'LL",
    "'s",
    "'",
    "I'm",
    "it’s",
    "🦙",
    "🦙🐴",
    "a🦙b",
    "👩‍👩‍👧‍👦",
    "❤️",
    "🇵🇪",
    "👍🏽",
    "héllo",
    "cafe\u0301",
    "Straße",
    "привет мир",
    "你好，世界",
    "こんにちは",
    "한국어",
    "שלום",
    "مرحبا",
    "हिन्दी",
    "ไทย",
    "\u200b",
    "\u00a0x",
    "x\u00a0\u00a0y",
    "\u3000",
    "\u2028",
    "a\u0085b",
    "!?...",
    "?!\n\n",
    "...\n",
    "#$%&",
    '{"a": [1, 2]}',
    "<think>",
    "</think>\n\n",
    "<tool_call>\n{}",
    "<|im_start|>user\n",
    "<think",
    "think>",
    " <think> ",
    "a<think>b",
    "<|endoftext|>",
    "OLLAMA_NUM_PARALLEL=4",
    "~/.ollama/models",
    "http://127.0.0.1:11434/api/chat",
    "\x00",
    "\x01\x7f",
    "\ufffd",
    "\ufeff",
    "𝔘𝔫𝔦",
    "a" * 300,
    " " * 70,
    "\n" * 40,
    "ſ's",
)
_ALPHABET = "aZé 1٣½.,'_<>|\n\t\r \u00a0\u3000🦙你я\u0301-{}\"sSlL"


def _random_strings(count: int) -> Iterator[str]:
    rng = Random(5)
    for _ in range(count):
        yield "".join(rng.choice(_ALPHABET) for _ in range(rng.randint(1, 30)))


def _tokenize(url: str, text: str) -> list[int]:
    body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
    request = urllib.request.Request(f"{url}/tokenize", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["tokens"]


def _texts(count: int) -> Iterator[str]:
    yield from (*_STRINGS, *CONTROL, *VISIBLE)
    yield from _random_strings(count)
    yield from (document.text() for document in documents(99, count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args()
    tokenizer = load()
    texts = list(_texts(options.count))
    different = [text for text in texts if tokenizer.encode(text).ids != _tokenize(options.url, text)]
    for text in different[:20]:
        print(f"{text!r}: {tokenizer.encode(text).tokens} {_tokenize(options.url, text)}")
    print(f"{len(texts)} texts, {len(different)} differ")
    raise SystemExit(bool(different))


if __name__ == "__main__":
    main()
