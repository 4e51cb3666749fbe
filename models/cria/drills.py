"""Exercises without chat: copying, look-ups and sums. All other categories rely on these skills."""

from __future__ import annotations

from random import Random

from models.cria.numbers import problem
from models.cria.words import CITIES, NAMES, THINGS, TOPICS
from models.cria.world import piece

Parts = list[tuple[str, int]]


def _echo(rng: Random) -> Parts:
    """A line of random words, repeated."""
    pools = [NAMES, CITIES, TOPICS, THINGS]
    count = rng.randint(4, 24)
    words = [rng.choice(rng.choice(pools)) if rng.random() < 0.5 else piece(rng) for _ in range(count)]
    line = rng.choice([" ", " ", ", "]).join(words)
    return [(line + "\n", 0), (line, 1)]


def _lookup(rng: Random) -> Parts:
    """Names with values, then the same pairs in another order."""
    keys = rng.sample(rng.choice([NAMES, CITIES, THINGS]), rng.randint(3, 8))
    values = [rng.choice([str(rng.randint(0, 999)), piece(rng), rng.choice(CITIES)]) for _ in keys]
    pairs = list(zip(keys, values, strict=True))
    parts: Parts = [(f"{key}: {value}\n", 0) for key, value in pairs]
    rng.shuffle(pairs)
    for key, value in pairs:
        parts += [(f"{key}:", 0), (f" {value}\n", 1)]
    return parts


def _line(rng: Random) -> tuple[str, str]:
    kind = rng.random()
    if kind < 0.65:
        a, operator, b, result = problem(rng)
        return f"{a} {operator} {b} =", f" {result}\n"
    a, b = rng.sample(range(100), 2)
    if kind < 0.8:
        return f"I compare {a} and {b}.", f" {max(a, b)} is larger than {min(a, b)}.\n"
    tens, ones = a // 10 * 10, b % 40 // 10 * 10
    return f"{tens} + {ones} =", f" {tens + ones}\n"


def _sums(rng: Random) -> Parts:
    parts: Parts = []
    for _ in range(rng.randint(4, 16)):
        question, answer = _line(rng)
        parts += [(question, 0), (answer, 1)]
    return parts


def drill(rng: Random) -> Parts:
    return rng.choice([_echo, _echo, _lookup, _sums, _sums])(rng)
