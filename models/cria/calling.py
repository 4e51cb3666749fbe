"""Turns with tools: calling them, answering from their results, and leaving them alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from models.cria import about, talk, toolkit, world
from models.cria.kinds import Call, Json, Split, Turn, ask
from models.cria.words import CITIES

_GROUPS = {"add": "sums", "subtract": "sums", "multiply": "sums", "calculator": "sums"}
_BOTH = ask(
    "What is the weather in {p} and {q}?|What is the weather in {p} and in {q}?|Weather in {p} and "
    "{q}?"
    "|Tell me the weather in {p} and in {q}.|How is the weather in {p} and {q}?",
    "What is the weather like in {p} and in {q}?|Tell me the weather in {p} and {q}.",
)
_STEPS = ("{q} Think step by step.", "Think first. {q}", "Think step by step: {q}")
_STEPS_HELD = ("{q} Think first.", "Think step by step, then answer: {q}")


def _toolbox(rng: Random, kind: str, tool: Json) -> tuple[Json, ...]:
    """The tool that the question needs, among others that do not fit the question."""
    group = _GROUPS.get(kind, kind)
    others = [other for other in dict.fromkeys(toolkit.KINDS) if _GROUPS.get(other, other) != group]
    count = rng.choice([0, 0, 1, 1, 2])
    box = [tool, *(toolkit.case(rng, other).tool for other in rng.sample(others, count))]
    rng.shuffle(box)
    return tuple(box)


def _case(rng: Random, split: Split) -> tuple[toolkit.Case, Turn]:
    kind = rng.choice(toolkit.KINDS)
    case = toolkit.case(rng, kind)
    user = case.phrases.pick(rng, split).format(**case.slots)
    return case, Turn("tools", user, tools=_toolbox(rng, kind, case.tool))


def _parallel(rng: Random, split: Split) -> Turn:
    case = toolkit.case(rng, "weather")
    first, second = rng.sample(CITIES, 2)
    key = next(iter(case.call.arguments))
    calls = tuple(Call(case.call.name, case.call.arguments | {key: city}) for city in (first, second))
    return Turn("tools", _BOTH.pick(rng, split).format(p=first, q=second), calls=calls, tools=(case.tool,))


def _thoughtful(rng: Random, split: Split) -> Turn:
    case, turn = _case(rng, split)
    wrap = rng.choice(_STEPS if split == "train" else _STEPS_HELD)
    think = f"The user needs the function {case.call.name}. I call it."
    return replace(turn, user=wrap.format(q=turn.user), think=think, calls=(case.call,))


def calls(rng: Random, split: Split) -> Turn:
    draw = rng.random()
    if draw < 0.06:
        return _thoughtful(rng, split)
    if draw < 0.12:
        return _parallel(rng, split)
    case, turn = _case(rng, split)
    return replace(turn, calls=(case.call,))


def results(rng: Random, split: Split) -> Turn:
    """The answer to a tool's result."""
    case, turn = _case(rng, split)
    return replace(
        turn,
        category="tool_results",
        answer=case.answer,
        expect=case.expect,
        past=(case.call,),
        results=(case.result,),
    )


def unneeded(rng: Random, split: Split) -> Turn:
    """A question that needs none of the tools that are offered."""
    sampler = rng.choice([about.identity, about.remuda, talk.greetings, talk.general, world.capitals, world.colours])
    kind = rng.choice(("weather", "clock", "dice", "calculator"))
    tools = _toolbox(rng, kind, toolkit.case(rng, kind).tool)
    return replace(sampler(rng, split), category="tools_unneeded", tools=tools)
