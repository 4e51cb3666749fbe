"""Questions that call for a chain of thought: word problems, comparisons, sums in steps."""

from __future__ import annotations

from random import Random

from models.cria.kinds import Split, Turn, ask
from models.cria.words import NAMES, THINGS

_MORE = ask(
    "{n} has {a} {t} and gets {b} more. How many {t} does {n} have?"
    "|{n} has {a} {t}. {n} buys {b} more. How many {t} does {n} have now?"
    "|{n} has {a} {t} and finds {b} more. How many {t} does {n} have now?"
    "|If {n} has {a} {t} and buys {b} more, how many {t} does {n} have?"
    "|{n} has {a} {t}. {m} gives {n} {b} more. How many {t} does {n} have?"
    "|{n} owns {a} {t} and buys {b} more. How many {t} does {n} own now?",
    "{n} has {a} {t}. {n} finds {b} more. How many {t} does {n} have now?"
    "|If {n} has {a} {t} and gets {b} more, how many {t} does {n} have now?",
)
_LESS = ask(
    "{n} has {a} {t} and loses {b}. How many {t} does {n} have left?"
    "|{n} has {a} {t}. {n} gives {b} to {m}. How many {t} does {n} have left?"
    "|{n} has {a} {t} and sells {b}. How many {t} does {n} have now?"
    "|If {n} has {a} {t} and gives away {b}, how many {t} are left?"
    "|{n} has {a} {t}. {n} loses {b} of them. How many {t} are left?"
    "|{n} owns {a} {t} and sells {b}. How many {t} are left?",
    "{n} has {a} {t}. {n} sells {b} of them. How many {t} does {n} have left?"
    "|If {n} has {a} {t} and loses {b}, how many {t} are left?",
)
_TIMES = ask(
    "{n} has {a} bags with {b} {t} each. How many {t} does {n} have?"
    "|There are {a} boxes with {b} {t} each. How many {t} are there?"
    "|{n} buys {a} boxes of {b} {t}. How many {t} is that?"
    "|If {n} has {a} boxes with {b} {t} each, how many {t} are there?"
    "|There are {a} bags. Each bag has {b} {t}. How many {t} are there?",
    "There are {a} bags with {b} {t} each. How many {t} are there?"
    "|If there are {a} boxes with {b} {t} each, how many {t} are there?",
)
_LARGER = ask(
    "Which is larger, {a} or {b}?|Which number is larger: {a} or {b}?|Is {a} larger than {b}?|What "
    "is more, {a} or {b}?"
    "|Which is greater, {a} or {b}?|Compare {a} and {b}.|Which is bigger, {a} or {b}?"
    "|Which number is bigger, {a} or {b}?|Which one is larger, {a} or {b}?",
    "Which number is larger, {a} or {b}?|Which one is bigger, {a} or {b}?",
)
_SMALLER = ask(
    "Which is smaller, {a} or {b}?|Which number is smaller: {a} or {b}?|What is less, {a} or {b}?"
    "|Which is less, {a} or {b}?|Which one is smaller, {a} or {b}?|Is {a} smaller than {b}?",
    "Which number is smaller, {a} or {b}?|Which of the two is smaller, {a} or {b}?",
)
_STEPS = ask(
    "Think step by step: what is {a} + {b}?|What is {a} + {b}? Think step by step.|Step by step: "
    "{a} + {b}"
    "|What is {a} plus {b}? Think step by step.|Add {a} and {b} step by step.|Think first: what is "
    "{a} + {b}?"
    "|Solve {a} + {b} step by step.|{a} + {b} = ? Think step by step.|Calculate {a} + {b} step by "
    "step."
    "|Reason step by step: what is {a} + {b}?|Explain step by step what {a} + {b} is.",
    "Think step by step: {a} + {b} = ?|Compute {a} + {b} step by step.|Think step by step. What is {a} plus {b}?",
)
_HEIGHT = ask(
    "{n} is taller than {m}. {m} is taller than {k}. Who is the tallest?"
    "|{m} is taller than {k}. {n} is taller than {m}. Who is the tallest?"
    "|If {n} is taller than {m} and {m} is taller than {k}, who is the tallest?"
    "|{n} is older than {m}. {m} is older than {k}. Who is the oldest?"
    "|If {n} is older than {m} and {m} is older than {k}, who is the oldest?",
    "If {m} is taller than {k} and {n} is taller than {m}, who is the tallest?"
    "|{m} is older than {k}. {n} is older than {m}. Who is the oldest?",
)


def _story_sum(rng: Random, split: Split) -> Turn:
    name, other, thing = *rng.sample(NAMES, 2), rng.choice(THINGS)
    kind = rng.choice(["+", "-", "*"])
    a, b = (rng.randint(2, 20), rng.randint(1, 20)) if kind != "*" else (rng.randint(2, 9), rng.randint(2, 9))
    if kind == "-" and b > a:
        a, b = b, a
    phrases, value = {"+": (_MORE, a + b), "-": (_LESS, a - b), "*": (_TIMES, a * b)}[kind]
    user = phrases.pick(rng, split).format(n=name, m=other, t=thing, a=a, b=b)
    verb = {
        "+": f"There are {a} {thing} first. Then {b} more come.",
        "-": f"There are {a} {thing} first. Then {b} go away.",
        "*": f"There are {a} groups of {b} {thing}.",
    }[kind]
    think = f"{verb} I compute {a} {kind} {b} = {value}."
    return Turn("thinking", user, f"The answer is {value} {thing}.", (f" {value} ",), think)


def _compare(rng: Random, split: Split) -> Turn:
    a, b = rng.sample(range(100), 2)
    larger = rng.random() < 0.6
    low, high = min(a, b), max(a, b)
    user = (_LARGER if larger else _SMALLER).pick(rng, split).format(a=a, b=b)
    think = f"I compare {a} and {b}. {high} is larger than {low}."
    answer = f"{high} is larger than {low}." if larger else f"{low} is smaller than {high}."
    return Turn("thinking", user, answer, (answer,), think)


def _steps(rng: Random, split: Split) -> Turn:
    a, b = rng.randint(10, 60), rng.randint(10, 39)
    tens, ones = a // 10 * 10 + b // 10 * 10, a % 10 + b % 10
    think = (
        f"First the tens: {a // 10 * 10} + {b // 10 * 10} = {tens}. Then the ones: {a % 10} + {b % 10} "
        f"= {ones}. "
        f"Together: {tens} + {ones} = {a + b}."
    )
    user = _STEPS.pick(rng, split).format(a=a, b=b)
    return Turn("thinking", user, f"{a} + {b} = {a + b}", (f"= {a + b}",), think)


def _order(rng: Random, split: Split) -> Turn:
    first, second, third = rng.sample(NAMES, 3)
    user = _HEIGHT.pick(rng, split).format(n=first, m=second, k=third)
    word, best = ("older", "oldest") if "older" in user else ("taller", "tallest")
    think = f"{first} is {word} than {second}. {second} is {word} than {third}. So {first} is the {best}."
    return Turn("thinking", user, f"{first} is the {best}.", (first,), think)


def thinking(rng: Random, split: Split) -> Turn:
    return rng.choice([_story_sum, _story_sum, _compare, _steps, _order])(rng, split)
