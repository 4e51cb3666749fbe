"""Packs documents into rows of tokens, tightly and with gaps in the positions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.cria.corpus import Document, documents
from models.cria.tokens import END_OF_TEXT, START, load

IntArray = NDArray[np.int32]
_LOOKAHEAD = 200


@dataclass(frozen=True)
class Rows:
    """Tokens and their loss weights, both (rows, time)."""

    tokens: IntArray
    weights: IntArray


def encode(tokenizer: Tokenizer, document: Document) -> tuple[list[int], list[int]]:
    tokens: list[int] = []
    weights: list[int] = []
    for text, weight in document.parts:
        ids = tokenizer.encode(text).ids
        tokens += ids
        weights += [weight] * len(ids)
    return tokens, weights


def _fill(pool: list[tuple[list[int], list[int]]], length: int) -> tuple[list[int], list[int]]:
    """Fills one row: with the oldest document, then again and again with the longest one that still fits."""
    tokens, weights = pool.pop(0)
    tokens, weights = list(tokens), list(weights)
    while True:
        room = length - len(tokens)
        fitting = [index for index, item in enumerate(pool) if len(item[0]) <= room]
        if not fitting:
            return tokens, weights
        more = pool.pop(max(fitting, key=lambda index: len(pool[index][0])))
        tokens += more[0]
        weights += more[1]


def pack(seed: int, count: int, length: int) -> Rows:
    """The first ``count`` rows of the corpus of ``seed``."""
    tokenizer = load()
    pad = token_id(tokenizer, END_OF_TEXT)
    tokens = np.full((count, length), pad, dtype=np.int32)
    weights = np.zeros((count, length), dtype=np.int32)
    stream = (encode(tokenizer, document) for document in documents(seed, 1_000_000_000))
    fitting = (item for item in stream if len(item[0]) <= length)
    pool: list[tuple[list[int], list[int]]] = []
    for row in range(count):
        pool += islice(fitting, _LOOKAHEAD - len(pool))
        ids, marks = _fill(pool, length)
        tokens[row, : len(ids)], weights[row, : len(ids)] = ids, marks
    return Rows(tokens, weights)


def cached(folder: Path, seed: int, count: int, length: int) -> Rows:
    path = folder / f"rows-{seed}-{count}-{length}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        rows = pack(seed, count, length)
        np.savez_compressed(path, tokens=rows.tokens, weights=rows.weights)
    data = np.load(path)
    return Rows(data["tokens"], data["weights"])


def positions(tokens: IntArray, start: int, context: int, rng: np.random.Generator) -> IntArray:
    """Positions (rows, time) with random gaps before messages, so that training sees long distances."""
    rows, length = tokens.shape
    gaps = rng.integers(0, 600, tokens.shape) * (tokens == start) * (rng.random(tokens.shape) < 0.2)
    gaps *= rng.random((rows, 1)) < 0.5
    spread = np.minimum(np.cumsum(gaps, axis=1), context - length)
    places: IntArray = np.asarray(np.arange(length) + spread, dtype=np.int32)
    return places


def token_id(tokenizer: Tokenizer, text: str) -> int:
    number = tokenizer.token_to_id(text)
    if number is None:
        raise KeyError(text)
    return number


def start_token() -> int:
    return token_id(load(), START)
