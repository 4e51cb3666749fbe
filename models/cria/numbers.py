"""Counting and small arithmetic."""

from __future__ import annotations

from random import Random

from models.cria.kinds import Phrases, Split, Turn, ask

_UP = ask(
    "Count from {a} to {b}.|Count from {a} up to {b}.|Count up from {a} to {b}.|Please count from {a} "
    "to {b}."
    "|List the numbers from {a} to {b}.|Say the numbers from {a} to {b}.|Numbers from {a} to {b}?"
    "|Give me the numbers from {a} to {b}.|Start at {a} and count to {b}.|Write the numbers {a} to {b}."
    "|Can you count from {a} to {b}?|Count {a} to {b}.|Go from {a} to {b}.",
    "Write the numbers from {a} to {b}.|Start at {a} and count up to {b}.",
)
_TO = ask(
    "Count to {b}.|Count up to {b}.|Can you count to {b}?|Please count to {b}.|Say the numbers up to "
    "{b}."
    "|List the numbers up to {b}.",
    "Can you count up to {b}?|Give me the numbers up to {b}.",
)
_DOWN = ask(
    "Count down from {b} to {a}.|Count backwards from {b} to {a}.|Count down {b} to {a}."
    "|List the numbers from {b} down to {a}.|Say the numbers from {b} down to {a}."
    "|Start at {b} and count down to {a}.|Go backwards from {b} to {a}.|Please count down from {b} "
    "to {a}."
    "|Count from {b} down to {a}.|Count from {b} to {a}.",
    "Can you count down from {b} to {a}?|Start at {b} and count backwards to {a}.",
)
_TWOS = ask(
    "Count from {a} to {b} by twos.|Count by twos from {a} to {b}.|Count in twos from {a} to {b}."
    "|Count by 2 from {a} to {b}.|From {a} to {b} in steps of two.|Count from {a} to {b} in steps of "
    "2."
    "|Start at {a} and count by twos to {b}.|List every second number from {a} to {b}.",
    "Count from {a} to {b} in twos.|Start at {a} and count in steps of two to {b}.",
)
_NEXT = ask(
    "What comes after {a}?|Which number comes after {a}?|What is the number after {a}?|What follows "
    "{a}?"
    "|Next number after {a}?|Tell me the number after {a}.",
    "Tell me which number comes after {a}.|Which number follows {a}?",
)

_ADD = ask(
    "What is {a} + {b}?|What is {a} plus {b}?|{a} + {b} = ?|{a} + {b}|{a}+{b}|What's {a}+{b}?|Add {a} "
    "and {b}."
    "|How much is {a} plus {b}?|Calculate {a} + {b}.|Compute {a} + {b}.|What is the sum of {a} and "
    "{b}?"
    "|Tell me {a} plus {b}.|{a} plus {b}?|How much is {a} + {b}?|{a} + {b} =|Give me the sum of {a} "
    "and {b}."
    "|What do you get if you add {a} and {b}?|Solve {a} + {b}.",
    "Compute the sum of {a} and {b}.|Calculate {a} plus {b}.|Please tell me what {a} + {b} is.",
)
_SUB = ask(
    "What is {a} - {b}?|What is {a} minus {b}?|{a} - {b} = ?|{a} - {b}|{a}-{b}|What's {a}-{b}?"
    "|Subtract {b} from {a}.|How much is {a} minus {b}?|Calculate {a} - {b}.|Compute {a} - {b}.|Tell "
    "me {a} minus {b}."
    "|{a} minus {b}?|How much is {a} - {b}?|{a} - {b} =|Take {b} away from {a}.|Solve {a} - {b}.",
    "Compute {a} minus {b}.|Calculate {a} minus {b}.|Please tell me what {a} - {b} is.",
)
_MUL = ask(
    "What is {a} * {b}?|What is {a} times {b}?|{a} * {b} = ?|{a} * {b}|{a}*{b}|What's {a}*{b}?"
    "|Multiply {a} by {b}."
    "|How much is {a} times {b}?|Calculate {a} * {b}.|Compute {a} * {b}.|What is the product of {a} "
    "and {b}?"
    "|Tell me {a} times {b}.|{a} times {b}?|How much is {a} * {b}?|{a} x {b}|What is {a} x {b}?"
    "|Multiply {a} and {b}."
    "|Solve {a} * {b}.",
    "Compute the product of {a} and {b}.|Calculate {a} times {b}.|Please tell me what {a} * {b} is.",
)

OPERATIONS: dict[str, Phrases] = {"+": _ADD, "-": _SUB, "*": _MUL}


def join(numbers: range) -> str:
    return ", ".join(str(number) for number in numbers)


def _span(rng: Random) -> tuple[int, int]:
    """The first and the last number: mostly a short span, sometimes one that makes a long stream."""
    if rng.random() < 0.06:
        return 1, rng.choice([30, 40, 50, 60, 100])
    first = 1 if rng.random() < 0.4 else rng.randint(0, 40)
    return first, first + rng.randint(3, 16)


def counting(rng: Random, split: Split) -> Turn:
    first, last = _span(rng)
    kind = rng.choice(["up", "up", "to", "down", "twos", "next"])
    if kind == "next":
        user, answer = _NEXT.pick(rng, split).format(a=last), f"After {last} comes {last + 1}."
        return Turn("counting", user, answer, (f"comes {last + 1}.",))
    phrases = {"up": _UP, "to": _TO, "down": _DOWN, "twos": _TWOS}[kind]
    first, last = (1, last) if kind == "to" else (first, last)
    user = phrases.pick(rng, split).format(a=first, b=last)
    numbers = {"down": range(last, first - 1, -1), "twos": range(first, last + 1, 2)}.get(kind, range(first, last + 1))
    return Turn("counting", user, join(numbers))


def problem(rng: Random) -> tuple[int, str, int, int]:
    """Operands, operator and result of a small sum."""
    operator = rng.choice("+++--**")
    a, b = (rng.randint(0, 20), rng.randint(0, 20)) if operator != "*" else (rng.randint(0, 10), rng.randint(0, 10))
    if operator == "-" and b > a:
        a, b = b, a
    return a, operator, b, {"+": a + b, "-": a - b, "*": a * b}[operator]


def arithmetic(rng: Random, split: Split) -> Turn:
    a, operator, b, result = problem(rng)
    user = OPERATIONS[operator].pick(rng, split).format(a=a, b=b)
    return Turn("arithmetic", user, f"{a} {operator} {b} = {result}", (f"= {result}",))
