"""Cases `constrained` and `constrained-large-vocab`: answers with a JSON schema, against answers without one.

The weights are random, so the grammar alone makes the answer JSON. The schema's lists are too long for any answer to
complete them: all contenders decode the same number of tokens.
"""

from typing import Any

from loadtests.aims import Aim
from loadtests.case import Case
from loadtests.cases.decode import label
from loadtests.contenders import PEER, REMUDA, Server
from loadtests.contest import Contest, contest, facts
from loadtests.dialects import Ask
from loadtests.measurement import Measurement, StreamError, measure
from loadtests.options import CaseOptions
from loadtests.prompts import fresh_prompts
from loadtests.report import Figure, Report, RoundFigures

TOKENS_PER_ITEM = 16
"""A lower bound: an item's keys and punctuation alone have more."""

FIGURES = (
    Figure("rate", "tokens/s", as_ratio=True),
    Figure("decode_rate", "decode tokens/s", as_ratio=True),
    Figure("free", "free decode tokens/s", as_ratio=True),
    Figure("share", "decode ÷ free", digits=3),
    Figure("ttft", "TTFT ms", digits=1, as_ratio=True),
    Figure("gap_max", "longest gap ms", digits=1),
    Figure("tokens", "tokens"),
)


def schema(tokens: int) -> dict[str, Any]:
    """Returns the schema of an answer with more than so many tokens: strings, numbers, an enumeration, nested lists."""
    item = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 8, "maxLength": 32},
            "kind": {"enum": ["horse", "mule", "llama", "alpaca"]},
            "age": {"type": "integer"},
            "weight": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 4},
        },
        "required": ["name", "kind", "age", "weight", "tags"],
    }
    herd = {"type": "array", "items": item, "minItems": tokens // TOKENS_PER_ITEM + 1}
    return {
        "type": "object",
        "properties": {"title": {"type": "string", "minLength": 4}, "herd": herd},
        "required": ["title", "herd"],
    }


async def run(options: CaseOptions) -> Report:
    """Measures each server without a schema and with one, for every number of streams, in every round."""
    samples: list[RoundFigures] = []
    context = options.prompt_tokens + options.tokens + 64
    async with contest(options, max(*options.streams, options.slots), context) as field:
        for index in range(-options.warmup, options.rounds):
            for count in options.streams:
                results = await one_round(field, options, count, index)
                if index >= 0:
                    samples += [RoundFigures(label(count), name, index, values) for name, values in results.items()]
        title = f"JSON schema, model {options.model}"
        return Report(title, FIGURES, facts(options, field), samples, aims(options))


def aims(options: CaseOptions) -> tuple[Aim, ...]:
    cases = [label(count) for count in options.streams]
    shares = [Aim(case, REMUDA, "share", at_least=0.9) for case in cases]
    return (*shares, *(Aim(case, REMUDA, "decode_rate", PEER, at_least=2) for case in cases))


async def one_round(field: Contest, options: CaseOptions, streams: int, index: int) -> dict[str, dict[str, float]]:
    prompts = fresh_prompts(2 * streams, options.prompt_tokens, options.seed, "constrained", streams, index)
    free = [
        Ask(prompt=prompt, tokens=options.tokens, seed=options.seed + number) for number, prompt in enumerate(prompts)
    ]
    answer = schema(options.tokens)
    bound = [ask.model_copy(update={"answer_schema": answer}) for ask in free[streams:]]
    return {
        server.name: values(await measured(server, free[:streams]), await measured(server, bound))
        for server in field.servers
    }


async def measured(server: Server, asks: list[Ask]) -> Measurement:
    """Raises StreamError when an answer was complete too early to compare its rate."""
    measurement = measure(await server.run(asks))
    expected = sum(ask.tokens for ask in asks)
    if measurement.tokens != expected:
        raise StreamError(f"{server.name} generated {measurement.tokens} tokens instead of {expected}")
    return measurement


def values(free: Measurement, bound: Measurement) -> dict[str, float]:
    figures = {
        "rate": bound.rate,
        "decode_rate": bound.decode_rate,
        "free": free.decode_rate,
        "share": bound.decode_rate / free.decode_rate if free.decode_rate else 0.0,
        "ttft": bound.ttft,
        "gap_max": bound.gap_max,
        "tokens": bound.tokens,
    }
    return {key: value for key, value in figures.items() if value}


CASES = (
    Case(
        "constrained",
        "Answers under a JSON schema against free ones, and against llama-server's.",
        run,
        CaseOptions("small", streams=(8,), tokens=96),
        quick={"streams": (2,), "tokens": 32},
    ),
    Case(
        "constrained-large-vocab",
        "The same with 128k tokens of vocabulary, where masks are largest.",
        run,
        CaseOptions("large-vocab", streams=(8,), tokens=96),
        quick={"streams": (2,), "tokens": 32},
    ),
)
