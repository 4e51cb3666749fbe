"""Case `mixed-steps`: a steady flow of prompts beside running streams, in the streams' batches or in their own.

It runs bare `llama_decode` on the same tokens in different batches. Decode-only batches reuse llama.cpp's graph, and
attend to the streams' own cells only. A prompt in the same batch saves a pass over the weights.
"""

from loadtests.case import Case
from loadtests.contest import Alone, alone, facts, setup_of
from loadtests.measurement import NS
from loadtests.options import CaseOptions
from loadtests.policies import STREAM_PROMPT, PolicyJob, PolicyResult
from loadtests.report import Figure, Report, RoundFigures

CHUNK = 32
"""Prompt tokens for each token of a stream."""
ONLY_DECODE, MIXED = "decode only", "mixed"
IN_TURN = {"in turn": 1, "in turn, twos": 2, "in turn, fours": 4}
"""Decode-only batches before each prompt batch, which has as many chunks."""

FIGURES = (
    Figure("rate", "tokens/s", as_ratio=True),
    Figure("decode_rate", "decode tokens/s", as_ratio=True),
    Figure("prompt_rate", "prompt tokens/s", as_ratio=True),
    Figure("gap", "longest gap ms", digits=1, as_ratio=True),
)


async def run(options: CaseOptions) -> Report:
    """Measures a prompt that has just begun, and one with `prompt_tokens` computed tokens."""
    samples: list[RoundFigures] = []
    prompt = options.prompt_tokens + options.tokens * CHUNK
    setup = setup_of(options, max(options.streams) + 2, max(prompt, STREAM_PROMPT + options.tokens))
    jobs = [(streams, depth) for streams in options.streams for depth in (0, options.prompt_tokens)]
    async with alone("loadtests.policies", setup) as program:
        for index in range(-options.warmup, options.rounds):
            for streams, depth in jobs:
                case = f"{streams} streams, prompt at {depth}"
                results = await one_round(program, policies(streams, depth, options.tokens))
                if index >= 0:
                    samples += [RoundFigures(case, name, index, values) for name, values in results.items()]
        conditions = facts(options, program) | {"prompt tokens for a token of a stream": CHUNK}
        title = f"Prompts in the streams' batches or in their own, model {options.model}"
        return Report(title, FIGURES, conditions, samples, pairs=tuple((name, MIXED) for name in IN_TURN))


def policies(streams: int, depth: int, cycles: int) -> dict[str, PolicyJob]:
    mixed = PolicyJob(streams=streams, cycles=cycles, chunk=CHUNK, depth=depth, together=True)
    decode_only = mixed.model_copy(update={"chunk": 0, "depth": 0})
    in_turn = {name: mixed.model_copy(update={"together": False, "every": every}) for name, every in IN_TURN.items()}
    return {ONLY_DECODE: decode_only, MIXED: mixed, **in_turn}


async def one_round(program: Alone, jobs: dict[str, PolicyJob]) -> dict[str, dict[str, float]]:
    return {
        name: figures(job, PolicyResult.model_validate_json(await program.program.ask(job)))
        for name, job in jobs.items()
    }


def figures(job: PolicyJob, result: PolicyResult) -> dict[str, float]:
    seconds = sum(result.decode_ns) / NS
    decoded, prompt = job.streams * job.cycles, job.chunk * (job.cycles // job.every * job.every)
    rates = {"rate": (decoded + prompt) / seconds, "decode_rate": decoded / seconds, "gap": result.gap_ns / 1e6}
    return rates | ({"prompt_rate": prompt / seconds} if prompt else {})


CASE = Case(
    "mixed-steps",
    "Prompts beside running streams: mixed batches against decode-only ones with prompt batches in between.",
    run,
    CaseOptions("medium", streams=(8, 16), rounds=3, tokens=16, prompt_tokens=4096),
    quick={"streams": (2,), "tokens": 8, "prompt_tokens": 256},
)
