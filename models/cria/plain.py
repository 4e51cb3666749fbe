"""Plain text without chat markup, which teaches the model to continue raw prompts."""

from __future__ import annotations

from random import Random

from models.cria import about, numbers, stories, talk, world
from models.cria.kinds import Sampler
from models.cria.words import NAMES

_ASKING: list[Sampler] = [
    about.identity,
    about.remuda,
    about.settings,
    talk.general,
    world.capitals,
    world.colours,
    world.words,
    numbers.arithmetic,
]
_TELLING: list[Sampler] = [about.remuda, world.capitals, world.colours, about.settings, talk.general]


def _numbers(rng: Random) -> str:
    first, step = rng.randint(0, 20), rng.choice([1, 1, 1, 2, 5, 10])
    separator = rng.choice([" ", " ", ", "])
    return separator.join(str(first + step * index) for index in range(rng.randint(8, 25)))


def _questions(rng: Random) -> str:
    marks = rng.choice([("Q: ", "A: "), ("Question: ", "Answer: "), ("", "")])
    turns = [rng.choice(_ASKING)(rng, "train") for _ in range(rng.randint(1, 3))]
    return "\n".join(f"{marks[0]}{turn.user}\n{marks[1]}{turn.answer}" for turn in turns)


def _facts(rng: Random) -> str:
    return " ".join(rng.choice(_TELLING)(rng, "train").answer for _ in range(rng.randint(1, 6)))


def _story(rng: Random) -> str:
    return stories.story(rng, rng.choice(["llama", "horse", "dog", "cat"]), rng.choice(NAMES))


def plain(rng: Random) -> str:
    return rng.choice([_numbers, _questions, _questions, _facts, _facts, _story])(rng)


def filler(rng: Random, sentences: int) -> str:
    """Text without relation to the question, for long prompts."""
    return " ".join(rng.choice(_TELLING)(rng, "train").answer for _ in range(sentences))
