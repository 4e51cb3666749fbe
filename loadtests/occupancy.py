"""Case `occupancy`: some of a server's slots busy at random places, against as many streams on slots side by side.

With one KV stream per sequence llama.cpp splits a batch at every gap in the sequence ids, so a server that leaves gaps
pays for each.
"""

import random

from loadtests.client import Stream
from loadtests.contenders import Server
from loadtests.contest import Options, contest, facts, measure_rounds
from loadtests.dialects import Ask
from loadtests.measurement import decode_rate, measure
from loadtests.prompts import fresh_prompts
from loadtests.report import Figure, Report

SHORT = 8
"""Tokens of the streams that only serve to take the other slots at first."""
SETTLE = 24
"""Tokens by which the short streams are gone and a server has had time to close the gaps."""

FIGURES = (
    Figure("scattered", "scattered tokens/s", as_ratio=True),
    Figure("dense", "dense tokens/s", as_ratio=True),
    Figure("share", "scattered ÷ dense", digits=3),
)


async def run(options: Options, slots: int, busy: int) -> Report:
    async with contest(options, slots, options.prompt_tokens + options.tokens + 64) as field:
        samples = await measure_rounds(
            field,
            options,
            f"{busy} of {slots} slots",
            lambda server, index: one_round(server, options, slots, busy, index),
        )
        return Report(f"Occupancy, model {options.model}", FIGURES, facts(options, field), samples)


async def one_round(server: Server, options: Options, slots: int, busy: int, index: int) -> dict[str, float]:
    chosen = random.Random(repr((options.seed, index))).sample(range(slots), busy)
    prompts = fresh_prompts(slots + busy, options.prompt_tokens, options.seed, "occupancy", index)
    scattered = await server.run(
        [ask(options, prompt, number, number in chosen) for number, prompt in enumerate(prompts[:slots])]
    )
    dense = await server.run([ask(options, prompt, number, True) for number, prompt in enumerate(prompts[slots:])])
    measure(scattered)  # for its complaint about streams without text
    measure(dense)
    rates = settled_rate([scattered[number] for number in chosen]), settled_rate(dense)
    return {"scattered": rates[0], "dense": rates[1], "share": rates[0] / rates[1] if rates[1] else 0.0}


def ask(options: Options, prompt: str, number: int, long: bool) -> Ask:
    return Ask(prompt=prompt, tokens=options.tokens if long else SHORT, seed=options.seed + number)


def settled_rate(streams: list[Stream]) -> float:
    """Tokens per second of all streams after SETTLE chunks of each."""
    since = max(stream.arrivals[min(SETTLE, len(stream.arrivals) - 1)] for stream in streams)
    return decode_rate(streams, since)
