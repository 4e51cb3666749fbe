"""Answers in JSON."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from models.cria.kinds import Split, Turn, ask
from models.cria.numbers import problem
from models.cria.words import CAPITALS, COLOURS, NAMES, WORDS

_WRAP = ask(
    "Answer in JSON: {q}|{q} Answer in JSON.|{q} Respond in JSON.|Respond with JSON: {q}|JSON, "
    "please: {q}"
    "|{q} Give the answer as JSON.|{q} Reply with a JSON object.|As JSON: {q}|{q} Use JSON."
    "|{q} Respond using JSON.|Answer as a JSON object: {q}|{q} Return JSON.",
    "Reply in JSON: {q}|{q} Answer with a JSON object.|Give the answer in JSON: {q}",
)
_KEYED = ask(
    "Answer in JSON with the key {k}: {q}|{q} Answer in JSON with the key {k}.|{q} Use JSON with "
    "the key {k}."
    "|Respond in JSON, key {k}: {q}|{q} Return a JSON object with the key {k}.",
    "{q} Respond in JSON with the key {k}.|Return JSON with the key {k}: {q}",
)
_PERSON = ask(
    "Give me a person named {n}, {a} years old, as JSON.|{n} is {a} years old. Write this as JSON."
    "|Turn this into JSON: {n} is {a} years old.|Answer in JSON: {n} is {a} years old."
    "|{n} is {a} years old. Answer in JSON with the keys name and age.|Make JSON: {n}, {a} years "
    "old."
    "|Extract name and age as JSON: {n} is {a} years old.|Convert to JSON: {n} is {a} years old.",
    "Write as JSON: {n} is {a} years old.|Give me JSON for this: {n} is {a} years old.",
)
_PLACE = ask(
    "{c} is in {k}. Answer in JSON with the keys city and country.|Turn this into JSON: {c} is in "
    "{k}."
    "|Answer in JSON: {c} is in {k}.|Convert to JSON: {c} is in {k}.|{c} is in {k}. Write this as "
    "JSON."
    "|Extract city and country as JSON: {c} is in {k}.|Make JSON: {c}, {k}.",
    "Write as JSON: {c} is in {k}.|Give me JSON for this: {c} is in {k}.",
)
_LIST = ask(
    "List {n} colors as JSON.|Give me {n} colors in JSON.|Answer in JSON: name {n} colors.|{n} "
    "colors as JSON, please."
    "|Write {n} colors as JSON.|Return {n} colors as JSON.|Name {n} colors in JSON.",
    "Return JSON with {n} colors.|Name {n} colors as JSON.",
)
_SYSTEMS = (
    "Answer in JSON.",
    "Respond only with JSON.",
    "You always answer in JSON.",
    "Respond in JSON format.",
    "You are a helpful assistant. Answer in JSON.",
    "Output JSON only.",
)
_COLOUR_NAMES = ["red", "green", "blue", "yellow", "white", "black"]
_KEYS = ["answer", "result", "value", "reply", "output", "text", *WORDS[:12]]


def _question(rng: Random) -> tuple[str, str, Any]:
    """A question, the natural key of its answer, and the answer."""
    kind = rng.randrange(3)
    if kind == 0:
        country, city = rng.choice(list(CAPITALS.items()))
        return f"What is the capital of {country}?", "capital", city
    if kind == 1:
        thing, colour = rng.choice(list(COLOURS.items()))
        return f"What color is {thing}?", "color", colour
    a, operator, b, result = problem(rng)
    return f"What is {a} {operator} {b}?", "result", result


def _turn(user: str, value: Any, system: str = "") -> Turn:
    return Turn("json", user, json.dumps(value, ensure_ascii=False), system=system)


def _wrapped(rng: Random, split: Split) -> Turn:
    question, key, value = _question(rng)
    return _turn(_WRAP.pick(rng, split).format(q=question), {key: value})


def _keyed(rng: Random, split: Split) -> Turn:
    question, _, value = _question(rng)
    key = rng.choice(_KEYS)
    return _turn(_KEYED.pick(rng, split).format(q=question, k=key), {key: value})


def _by_system(rng: Random, split: Split) -> Turn:
    question, key, value = _question(rng)
    user = question if split == "train" else _WRAP.pick(rng, split).format(q=question)
    return _turn(user, {key: value}, rng.choice(_SYSTEMS))


def _person(rng: Random, split: Split) -> Turn:
    name, age = rng.choice(NAMES), rng.randint(1, 99)
    return _turn(_PERSON.pick(rng, split).format(n=name, a=age), {"name": name, "age": age})


def _place(rng: Random, split: Split) -> Turn:
    country, city = rng.choice(list(CAPITALS.items()))
    return _turn(_PLACE.pick(rng, split).format(c=city, k=country), {"city": city, "country": country})


def _list(rng: Random, split: Split) -> Turn:
    count = rng.randint(2, 5)
    return _turn(_LIST.pick(rng, split).format(n=count), {"colors": _COLOUR_NAMES[:count]})


def structured(rng: Random, split: Split) -> Turn:
    kinds = [_wrapped, _wrapped, _wrapped, _keyed, _by_system, _person, _person, _place, _list]
    return rng.choice(kinds)(rng, split)


def forced(rng: Random) -> Turn:
    """A JSON object as the answer to a plain question, as a grammar forces it."""
    question, _, value = _question(rng)
    return _turn(question, {"answer": value})
