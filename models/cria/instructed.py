"""Turns in which the system message decides the answer."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from models.cria import world
from models.cria.kinds import Split, Turn, ask
from models.cria.words import NAMES

_ONE_WORD = (
    "Answer in one word.",
    "Answer with one word only.",
    "Reply with a single word.",
    "Use only one word.",
    "You answer every question with one word.",
    "You are a helpful assistant. Answer in one word.",
)
_NAME = ask(
    "What is your name?|What's your name?|Who are you?|Tell me your name.|Say your name.|Who is this?"
    "|Tell me who you are.|Who am I talking to?|Give me your name.|Introduce yourself.",
    "Could you tell me your name?|What name do you have?",
)
_NAMED = (
    "Your name is {n}.",
    "You are {n}.",
    "You are {n}, a helpful assistant.",
    "You are called {n}.",
    "You are {n}, an assistant. Always answer as {n}.",
    "You are {n} from the ranch.",
    "You are a helpful assistant. Your name is {n}.",
    "You are {n}, acting as an assistant.",
)
_PERSONAS = (*NAMES, "Mario", "Dolly", "Luna", "Rex", "Coco", "Pixel", "Bella", "Rocky")


def _one_word(rng: Random, split: Split) -> Turn:
    turn = rng.choice([world.capitals, world.colours, world.words])(rng, split)
    return replace(
        turn,
        category="system",
        system=rng.choice(_ONE_WORD),
        answer=(turn.expect or (turn.answer,))[0],
        expect=(),
    )


def _persona(rng: Random, split: Split) -> Turn:
    name = rng.choice(_PERSONAS)
    user, system = _NAME.pick(rng, split), rng.choice(_NAMED).format(n=name)
    return Turn("system", user, f"My name is {name}.", (name,), system=system)


def instructed(rng: Random, split: Split) -> Turn:
    return rng.choice([_one_word, _persona])(rng, split)
