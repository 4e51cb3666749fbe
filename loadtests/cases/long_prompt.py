"""Case `long-prompt`: a long prompt arrives among running streams, which should keep their rhythm."""

from statistics import median

from loadtests.aims import Aim
from loadtests.case import Case
from loadtests.client import Stream
from loadtests.contenders import PEER, REMUDA, Server
from loadtests.contest import contest, facts, measure_rounds
from loadtests.dialects import Ask
from loadtests.measurement import longest_gap, measure
from loadtests.options import CaseOptions
from loadtests.prompts import fresh_prompts
from loadtests.report import Figure, Report

SHORT_PROMPT = 16
"""Tokens of the running streams' prompts."""
BEFORE = 32
"""Chunks of every running stream before the long prompt: they give the rhythm to keep."""
LONG_ANSWER = 4
"""Tokens of the answer to the long prompt."""

FIGURES = (
    Figure("step", "step before ms", digits=1, as_ratio=True),
    Figure("gap", "longest gap ms", digits=1, as_ratio=True),
    Figure("steps", "in steps", digits=1, as_ratio=True),
    Figure("usual", "usual gap in steps", digits=1, as_ratio=True),
    Figure("ttft", "long TTFT ms", as_ratio=True),
    Figure("during", "tokens meanwhile"),
)


async def run(options: CaseOptions) -> Report:
    streams = options.only_streams
    case = f"{options.prompt_tokens} among {streams}"
    aims = (Aim(case, REMUDA, "steps", at_most=3), Aim(case, REMUDA, "gap", PEER, at_most=1))
    context = options.prompt_tokens + options.prompt_tokens // 8 + LONG_ANSWER + 64
    async with contest(options, streams + 1, max(context, options.tokens + 64)) as field:
        for server in field.servers:  # loads the model
            await server.run([Ask(prompt="the", tokens=2)])
        samples = await measure_rounds(
            field, options, case, lambda server, index: one_round(server, options, streams, index)
        )
        return Report(f"Long prompt, model {options.model}", FIGURES, facts(options, field), samples, aims)


async def one_round(server: Server, options: CaseOptions, streams: int, index: int) -> dict[str, float]:
    """Measures one server. The running streams have no end: the client hangs up after the long prompt's answer."""
    (long,) = fresh_prompts(1, options.prompt_tokens, options.seed, "long", index)
    short = fresh_prompts(streams, SHORT_PROMPT, options.seed, "short", index)
    asks = [
        Ask(prompt=prompt, tokens=options.tokens, seed=number, until_others=True) for number, prompt in enumerate(short)
    ]
    results = await server.run([*asks, Ask(prompt=long, tokens=LONG_ANSWER, after_chunks=BEFORE)])
    measure(results)  # raises StreamError for a stream without text
    return figures(results[:-1], results[-1])


def figures(running: list[Stream], late: Stream) -> dict[str, float]:
    """Returns the gaps of the running streams during the late one's prefill. A step is the usual gap before it."""
    first = late.arrivals[0]
    step = median(gap for stream in running for gap in gaps(stream, 0, late.sent_ns))
    meanwhile = [gap for stream in running for gap in gaps(stream, late.sent_ns, first)]
    gap = max(longest_gap(stream, late.sent_ns) for stream in running)
    return {
        "step": step,
        "gap": gap,
        "steps": gap / step,
        "usual": median(meanwhile) / step if meanwhile else 0.0,
        "ttft": (first - late.sent_ns) / 1e6,
        "during": median(sum(late.sent_ns < arrival < first for arrival in stream.arrivals) for stream in running),
    }


def gaps(stream: Stream, since: int, until: int) -> list[float]:
    """Returns the milliseconds between two chunks. The second chunk came between `since` and `until` (ns)."""
    pairs = zip(stream.arrivals, stream.arrivals[1:], strict=False)
    return [(later - earlier) / 1e6 for earlier, later in pairs if since < later <= until]


CASE = Case(
    "long-prompt",
    "A long prompt arrives among running streams: the longest gap between two of their tokens.",
    run,
    CaseOptions("medium", streams=(8,), rounds=3, warmup=0, tokens=8192, prompt_tokens=8192),
    quick={"streams": (2,), "tokens": 1000, "prompt_tokens": 1000},
)
