"""Case `speculation`: greedy streams with drafting and without, of text that repeats itself and of text that does not.

Random weights repeat nothing, so drafting can only cost there. Their looping twin computes as much, and repeats the
same round of words: the best case of prompt lookup.
"""

from dataclasses import replace
from typing import Any

from loadtests.aims import Aim
from loadtests.case import Case
from loadtests.cases.decode import label
from loadtests.contenders import REMUDA, Server
from loadtests.contest import alone, contest, facts, setup_of
from loadtests.dialects import Ask
from loadtests.engine_alone import EngineJob, EngineResult
from loadtests.measurement import StreamError, measure
from loadtests.options import CaseOptions
from loadtests.prompts import fresh_prompts
from loadtests.report import Figure, Report, RoundFigures

DRAFT = 8
OFF, CHOICE, ON = "no drafting", "Remuda's choice", f"drafts of {DRAFT}"
DRAFTS: dict[str, int | None] = {OFF: 0, CHOICE: None, ON: DRAFT}

FIGURES = (
    Figure("rate", "tokens/s", as_ratio=True),
    Figure("decode_rate", "decode tokens/s", as_ratio=True),
    Figure("per_step", "tokens/step", digits=2),
    Figure("drafted", "drafted"),
    Figure("accepted", "accepted, share", digits=2),
)


def texts(options: CaseOptions) -> dict[str, str]:
    """Returns the models by their kind of text."""
    return {"repeating": f"{options.model}-looping", "not repeating": options.model}


async def run(options: CaseOptions) -> Report:
    samples: list[RoundFigures] = []
    conditions: dict[str, Any] = {}
    context = options.prompt_tokens + options.tokens + 64
    for text, model in texts(options).items():
        here = replace(options, model=model, only=frozenset({REMUDA}))
        drafts = await acceptance(here, context)
        async with contest(here, max(*options.streams, options.slots), context) as field:
            (server,) = field.servers
            for index in range(-options.warmup, options.rounds):
                for count in options.streams:
                    results = await one_round(server, here, count, index)
                    if index >= 0:
                        samples += [
                            RoundFigures(f"{text}, {label(count)}", name, index, values | drafts[count, name])
                            for name, values in results.items()
                        ]
            conditions = facts(here, field) | {"model": options.model}
    pairs = tuple((name, OFF) for name in (CHOICE, ON))
    return Report(f"Drafting, model {options.model}", FIGURES, conditions, samples, aims(options), pairs)


def aims(options: CaseOptions) -> tuple[Aim, ...]:
    """Drafting must never cost much, and must pay where text repeats itself."""
    lows = {"repeating": 1.2, "not repeating": 0.97}
    return tuple(
        Aim(f"{text}, {label(count)}", CHOICE, "decode_rate", OFF, at_least=low)
        for text, low in lows.items()
        for count in options.streams
    )


async def acceptance(options: CaseOptions, context: int) -> dict[tuple[int, str], dict[str, float]]:
    """Returns the engine's own counts, by the number of streams and the kind of drafting. Raises StreamError if
    drafting changes the text."""
    counts: dict[tuple[int, str], dict[str, float]] = {}
    setup = setup_of(options, max(*options.streams, options.slots), context)
    async with alone("loadtests.engine_alone", setup) as engine:
        for count in options.streams:
            job = EngineJob(prompts=prompts(options, count, 0), tokens=options.tokens, seed=0, temperature=0)
            results: dict[str, EngineResult] = {}
            for name, draft in DRAFTS.items():
                drafting = job.model_copy(update={"draft_tokens": draft})
                results[name] = EngineResult.model_validate_json(await engine.program.ask(drafting))
                counts[count, name] = shares(results[name], count)
            if options.model.endswith("-looping"):
                check(results)  # in other text the rounding of another batch shape may swap two near equal logits
    return counts


def check(results: dict[str, EngineResult]) -> None:
    for name, result in results.items():
        if result.generated != results[OFF].generated:
            raise StreamError(f"greedy text with {name} is not what it is without")


def shares(result: EngineResult, streams: int) -> dict[str, float]:
    per_step = sum(result.step_tokens) / len(result.step_tokens) / streams
    if not result.drafted:
        return {"per_step": per_step}
    return {"per_step": per_step, "drafted": result.drafted, "accepted": result.accepted / result.drafted}


async def one_round(server: Server, options: CaseOptions, streams: int, index: int) -> dict[str, dict[str, float]]:
    """Measures every kind of drafting with fresh prompts."""
    results: dict[str, dict[str, float]] = {}
    for number, (name, draft) in enumerate(DRAFTS.items()):
        fresh = prompts(options, streams, index * len(DRAFTS) + number)
        asks = [Ask(prompt=each, tokens=options.tokens, temperature=0, draft_tokens=draft) for each in fresh]
        measured = measure(await server.run(asks))
        figures = {"rate": measured.rate, "decode_rate": measured.decode_rate}
        results[name] = {key: value for key, value in figures.items() if value}
    return results


def prompts(options: CaseOptions, streams: int, index: int) -> list[str]:
    return fresh_prompts(streams, options.prompt_tokens, options.seed, "speculation", streams, index)


CASE = Case(
    "speculation",
    "Greedy streams with drafting and without, of text that repeats itself and of text that does not.",
    run,
    CaseOptions("small", streams=(1, 4), tokens=256),
    quick={"streams": (1, 2), "tokens": 120},
)
