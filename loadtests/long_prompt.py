"""Case `long-prompt`: a long prompt arrives among running streams, which should keep their rhythm."""

from statistics import median

from loadtests.client import Stream
from loadtests.contenders import Server
from loadtests.contest import Options, contest, facts, measure_rounds
from loadtests.dialects import Ask
from loadtests.measurement import longest_gap, measure
from loadtests.prompts import fresh_prompts
from loadtests.report import Figure, Report

SHORT_PROMPT = 16
"""Tokens of the running streams' prompts."""
BEFORE = 32
"""Chunks of every running stream before the long prompt is sent: the rhythm that it should keep."""
LONG_ANSWER = 4
"""Tokens asked for with the long prompt."""

FIGURES = (
    Figure("step", "step before ms", digits=1, as_ratio=True),
    Figure("gap", "longest gap ms", digits=1, as_ratio=True),
    Figure("steps", "longest gap in steps", digits=1, as_ratio=True),
    Figure("ttft", "TTFT of the long prompt ms", as_ratio=True),
    Figure("during", "tokens of a stream meanwhile"),
)


async def run(options: Options, streams: int) -> Report:
    context = options.prompt_tokens + options.prompt_tokens // 8 + LONG_ANSWER + 64
    async with contest(options, streams + 1, max(context, options.tokens + 64)) as field:
        for server in field.servers:  # loads the model
            await server.run([Ask(prompt="the", tokens=2)])
        samples = await measure_rounds(
            field,
            options,
            f"{options.prompt_tokens} among {streams}",
            lambda server, index: one_round(server, options, streams, index),
        )
        return Report(f"Long prompt, model {options.model}", FIGURES, facts(options, field), samples)


async def one_round(server: Server, options: Options, streams: int, index: int) -> dict[str, float]:
    (long,) = fresh_prompts(1, options.prompt_tokens, options.seed, "long", index)
    short = fresh_prompts(streams, SHORT_PROMPT, options.seed, "short", index)
    asks = [Ask(prompt=prompt, tokens=options.tokens, seed=number) for number, prompt in enumerate(short)]
    found = await server.run([*asks, Ask(prompt=long, tokens=LONG_ANSWER, after_chunks=BEFORE)])
    measure(found)  # for its complaint about streams without text
    return figures(found[:-1], found[-1])


def figures(running: list[Stream], late: Stream) -> dict[str, float]:
    """How the running streams fared while the late one was prefilled."""
    step = median(gap for stream in running for gap in gaps_before(stream, late.sent_ns))
    gap = max(longest_gap(stream, late.sent_ns) for stream in running)
    first = late.arrivals[0]
    during = median(sum(late.sent_ns < arrival < first for arrival in stream.arrivals) for stream in running)
    return {
        "step": step,
        "gap": gap,
        "steps": gap / step,
        "ttft": (first - late.sent_ns) / 1e6,
        "during": during,
    }


def gaps_before(stream: Stream, moment: int) -> list[float]:
    """Milliseconds between the chunks that came before `moment` (ns)."""
    pairs = zip(stream.arrivals, stream.arrivals[1:], strict=False)
    return [(later - earlier) / 1e6 for earlier, later in pairs if later <= moment]
