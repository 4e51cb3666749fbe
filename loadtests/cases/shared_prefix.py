"""Case `prefix`: one request fills the cache, then many requests with the same prefix come at once."""

import random
from statistics import median

from loadtests.aims import Aim
from loadtests.case import Case
from loadtests.contenders import PEER, REMUDA, Server
from loadtests.contest import contest, facts, measure_rounds
from loadtests.dialects import Ask
from loadtests.measurement import measure
from loadtests.options import CaseOptions
from loadtests.prompts import nonsense
from loadtests.report import Figure, Report

TAIL = 8
"""Tokens of each prompt after the shared prefix."""

FIGURES = (
    Figure("first", "first's TTFT ms", digits=1, as_ratio=True),
    Figure("ttft", "others' TTFT ms", digits=1, as_ratio=True),
    Figure("ttft_max", "longest TTFT ms", digits=1, as_ratio=True),
    Figure("rate", "tokens/s", digits=1),
)


async def run(options: CaseOptions) -> Report:
    streams = options.only_streams
    case = f"{streams} after one"
    aims = (Aim(case, REMUDA, "ttft", PEER, at_most=0.05),)
    context = options.prompt_tokens + TAIL + options.tokens + 64
    async with contest(options, streams + 1, context) as field:
        for server in field.servers:  # loads the model
            await server.run([Ask(prompt="the", tokens=2)])
        samples = await measure_rounds(
            field, options, case, lambda server, index: one_round(server, options, streams, index)
        )
        return Report(f"Shared prefix, model {options.model}", FIGURES, facts(options, field), samples, aims)


async def one_round(server: Server, options: CaseOptions, streams: int, index: int) -> dict[str, float]:
    source = random.Random(repr((options.seed, "prefix", index)))
    prefix = nonsense(source, options.prompt_tokens)
    asks = [Ask(prompt=f"{prefix} {nonsense(source, TAIL)}", tokens=options.tokens) for _ in range(streams + 1)]
    first = measure(await server.run(asks[:1]))
    others = await server.run(asks[1:])
    measurement = measure(others)
    waits = [(stream.arrivals[0] - stream.sent_ns) / 1e6 for stream in others]
    return {"first": first.ttft, "ttft": median(waits), "ttft_max": measurement.ttft_max, "rate": measurement.rate}


CASE = Case(
    "prefix",
    "Many requests with a common prefix behind one that filled the cache: time to first token.",
    run,
    CaseOptions("medium", streams=(31,), rounds=3, warmup=0, tokens=8, prompt_tokens=1300),
    quick={"streams": (5,), "tokens": 4, "prompt_tokens": 200},
)
