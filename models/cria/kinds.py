"""The types and helpers that all corpus modules share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

Split = Literal["train", "held"]
Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One function call of the assistant."""

    name: str
    arguments: Json

    def text(self) -> str:
        body = json.dumps({"name": self.name, "arguments": self.arguments}, ensure_ascii=False)
        return f"<tool_call>\n{body}\n</tool_call>"


@dataclass(frozen=True)
class Turn:
    """One question and the answer that the model learns.

    ``expect`` lists the strings that a right answer contains. If it is empty, only the exact answer is right.
    ``past`` holds the calls made so far, ``results`` their results, ``before`` earlier questions and answers.
    """

    category: str
    user: str
    answer: str = ""
    expect: tuple[str, ...] = ()
    think: str = ""
    system: str = ""
    tools: tuple[Json, ...] = ()
    calls: tuple[Call, ...] = ()
    past: tuple[Call, ...] = ()
    results: tuple[str, ...] = ()
    before: tuple[tuple[str, str], ...] = field(default=())

    def completion(self) -> str:
        return "\n".join(call.text() for call in self.calls) if self.calls else self.answer


Sampler = Callable[[Random, Split], Turn]


@dataclass(frozen=True)
class Phrases:
    """The ways to ask one thing. The held ones never enter the training data."""

    train: tuple[str, ...]
    held: tuple[str, ...]

    def pick(self, rng: Random, split: Split) -> str:
        return rng.choice(self.train if split == "train" else self.held)


def ask(train: str, held: str) -> Phrases:
    """Reads phrases from two lists whose entries ``|`` separates."""
    return Phrases(tuple(train.split("|")), tuple(held.split("|")))


@dataclass(frozen=True)
class Fact:
    """A fixed answer, the ways to ask for it, and the strings that make an answer right."""

    answer: str
    expect: tuple[str, ...]
    phrases: Phrases

    def turn(self, category: str, rng: Random, split: Split) -> Turn:
        return Turn(category, self.phrases.pick(rng, split), self.answer, self.expect)


def fact(answer: str, expect: str, train: str, held: str) -> Fact:
    return Fact(answer, tuple(expect.split("|")), ask(train, held))


def fact_sampler(category: str, facts: list[Fact]) -> Sampler:
    def sample(rng: Random, split: Split) -> Turn:
        return rng.choice(facts).turn(category, rng, split)

    return sample


def normalise(text: str) -> str:
    """Removes case, punctuation and politeness, so that noise cannot hide an equal phrasing."""
    words = re.findall(r"\w+|[-+*/]", text.lower())
    return " ".join(word for word in words if word != "please")
