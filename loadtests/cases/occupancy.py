"""Case `occupancy`: streams on random slots of a server, against as many streams on slots side by side.

With one KV stream per sequence, llama.cpp splits a batch at every gap in the sequence ids. A server pays for each gap
that it leaves.
"""

import random

from loadtests.aims import Aim
from loadtests.case import Case
from loadtests.client import Stream
from loadtests.contenders import REMUDA, Server
from loadtests.contest import contest, facts, measure_rounds
from loadtests.dialects import Ask
from loadtests.measurement import decode_rate, measure
from loadtests.options import CaseOptions
from loadtests.prompts import fresh_prompts
from loadtests.report import Figure, Report

SHORT = 8
"""Tokens of the streams that only occupy the other slots at first."""
SETTLE = 24
"""Tokens in which a server can close the gaps of the short streams."""

FIGURES = (
    Figure("scattered", "scattered tokens/s", as_ratio=True),
    Figure("dense", "dense tokens/s", as_ratio=True),
    Figure("share", "scattered ÷ dense", digits=3),
)


async def run(options: CaseOptions) -> Report:
    busy = options.only_streams
    case = f"{busy} of {options.slots} slots"
    aims = (Aim(case, REMUDA, "share", at_least=0.95, at_most=1.05),)
    async with contest(options, options.slots, options.prompt_tokens + options.tokens + 64) as field:
        samples = await measure_rounds(
            field, options, case, lambda server, index: one_round(server, options, busy, index)
        )
        return Report(f"Occupancy, model {options.model}", FIGURES, facts(options, field), samples, aims)


async def one_round(server: Server, options: CaseOptions, busy: int, index: int) -> dict[str, float]:
    """Runs streams on all slots, where only the long ones last; then as many long ones by themselves."""
    slots = options.slots
    long_ones = set(random.Random(repr((options.seed, index))).sample(range(slots), busy))
    prompts = fresh_prompts(slots + busy, options.prompt_tokens, options.seed, "occupancy", index)
    scattered = await server.run(
        [ask(options, prompt, number, number in long_ones) for number, prompt in enumerate(prompts[:slots])]
    )
    dense = await server.run([ask(options, prompt, number, True) for number, prompt in enumerate(prompts[slots:])])
    measure(scattered)  # raises StreamError for a stream without text
    measure(dense)
    alone_since = max(stream.arrivals[-1] for number, stream in enumerate(scattered) if number not in long_ones)
    rates = settled_rate([scattered[number] for number in long_ones], alone_since), settled_rate(dense, 0)
    return {"scattered": rates[0], "dense": rates[1], "share": rates[0] / rates[1] if rates[1] else 0.0}


def ask(options: CaseOptions, prompt: str, number: int, long: bool) -> Ask:
    return Ask(prompt=prompt, tokens=options.tokens if long else SHORT, seed=options.seed + number)


def settled_rate(streams: list[Stream], since: int) -> float:
    """Returns the tokens per second of all streams, from SETTLE chunks after `since` (ns) on."""
    settled = [[arrival for arrival in stream.arrivals if arrival > since][SETTLE:] for stream in streams]
    return decode_rate(streams, max(arrivals[0] for arrivals in settled)) if all(settled) else 0.0


CASE = Case(
    "occupancy",
    "Some of the slots busy at random places, against as many dense ones.",
    run,
    CaseOptions("medium", streams=(11,), tokens=192, slots=32),
    quick={"streams": (3,), "slots": 8, "tokens": 96},
)
