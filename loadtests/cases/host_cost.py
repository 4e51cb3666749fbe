"""Case `host-cost`: the cost of a token in Remuda's engine outside `llama_decode`.

The engine runs alone in a process, and makes token frames that nobody reads. The work of its second thread costs
nothing while llama.cpp computes; the engine's waits for it count.
"""

from statistics import mean, median

from loadtests.aims import Aim
from loadtests.case import Case
from loadtests.cases.decode import label
from loadtests.contenders import REMUDA
from loadtests.contest import Alone, alone, facts, setup_of
from loadtests.engine_alone import EngineJob, EngineResult
from loadtests.measurement import NS, StreamError
from loadtests.options import CaseOptions
from loadtests.prompts import fresh_prompts
from loadtests.report import Figure, Report, RoundFigures

FIGURES = (
    Figure("host", "host µs/token", digits=1),
    Figure("usual", "host µs/token, median step", digits=1),
    Figure("longest", "longest step's host µs"),
    Figure("decode", "llama_decode ms/step", digits=2),
    Figure("rate", "decode tokens/s"),
)


async def run(options: CaseOptions) -> Report:
    samples: list[RoundFigures] = []
    setup = setup_of(options, max(*options.streams, options.slots), options.prompt_tokens + options.tokens + 64)
    async with alone("loadtests.engine_alone", setup) as engine:
        for index in range(-options.warmup, options.rounds):
            for count in options.streams:
                values = await one_round(engine, options, count, index)
                if index >= 0:
                    samples.append(RoundFigures(label(count), REMUDA, index, values))
        aims = (Aim(label(32), REMUDA, "host", at_most=60),)
        return Report(f"Host time, model {options.model}", FIGURES, facts(options, engine), samples, aims)


async def one_round(engine: Alone, options: CaseOptions, streams: int, index: int) -> dict[str, float]:
    prompts = fresh_prompts(streams, options.prompt_tokens, options.seed, "host", streams, index)
    job = EngineJob(prompts=prompts, tokens=options.tokens, seed=options.seed, draft_tokens=0)
    return figures(EngineResult.model_validate_json(await engine.program.ask(job)))


def figures(result: EngineResult) -> dict[str, float]:
    """Returns the figures of the steps in which all sequences decoded. Raises StreamError without such a step."""
    if not result.step_ns:
        raise StreamError("the streams never decoded together")
    host = [step - decode for step, decode in zip(result.step_ns, result.decode_ns, strict=True)]
    tokens = sum(result.step_tokens)
    return {
        "host": sum(host) / 1e3 / tokens,
        "usual": median(host) / 1e3 / (tokens / len(host)),
        "longest": max(host) / 1e3,
        "decode": mean(result.decode_ns) / 1e6,
        "rate": tokens / (sum(result.step_ns) / NS),
    }


CASE = Case(
    "host-cost",
    "Microseconds a token outside llama_decode, in the engine alone.",
    run,
    CaseOptions("large-vocab", streams=(1, 8, 32), tokens=128),
    quick={"streams": (1, 4)},
)
