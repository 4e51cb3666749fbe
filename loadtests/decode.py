"""Case `engine`: a number of streams at once, short fresh prompts, default sampling."""

from dataclasses import asdict

from loadtests.contenders import FLOOR
from loadtests.contest import Contest, Options, contest, facts
from loadtests.dialects import Ask
from loadtests.floor import FloorJob
from loadtests.measurement import Measurement, measure
from loadtests.prompts import fresh_prompts
from loadtests.report import Figure, Report, Sample

FIGURES = (
    Figure("rate", "tokens/s", as_ratio=True),
    Figure("decode_rate", "decode tokens/s", as_ratio=True),
    Figure("ttft", "TTFT ms", digits=1, as_ratio=True),
    Figure("gap_max", "longest gap ms", digits=1),
    Figure("over_floor", "µs/token over floor"),
    Figure("tokens", "tokens"),
    Figure("prompt_tokens", "prompt tokens"),
)


async def run(options: Options, streams: list[int]) -> Report:
    """Round-robin: in every round, for every number of streams, each contender in turn with the same prompts."""
    samples: list[Sample] = []
    context = options.prompt_tokens + options.tokens + 64
    async with contest(options, max(streams), context, with_floor=True) as field:
        for index in range(-options.warmup, options.rounds):
            for count in streams:
                found = await one_round(field, options, count, index)
                if index >= 0:
                    samples += [Sample(label(count), name, index, values(found, name)) for name in found]
        return Report(f"Decode, model {options.model}", FIGURES, facts(options, field), samples)


async def one_round(field: Contest, options: Options, streams: int, index: int) -> dict[str, Measurement]:
    """Each contender's figures for `streams` streams. Warm-up rounds have negative indices."""
    prompts = fresh_prompts(streams, options.prompt_tokens, options.seed, streams, index)
    found: dict[str, Measurement] = {}
    if field.floor is not None:
        found[FLOOR] = await field.floor.measure(FloorJob(prompts=prompts, tokens=options.tokens))
    asks = [
        Ask(prompt=prompt, tokens=options.tokens, seed=options.seed + number) for number, prompt in enumerate(prompts)
    ]
    for server in field.servers:
        found[server.name] = measure(await server.run(asks))
    return found


def label(streams: int) -> str:
    return "1 stream" if streams == 1 else f"{streams} streams"


def values(found: dict[str, Measurement], name: str) -> dict[str, float]:
    """A contender's figures, without the decode rate of streams that never decoded together, and with what a decoded
    token costs beyond the floor: microseconds of wall time outside `llama_decode`, as far as it does not hide them."""
    measurement = found[name]
    figures = {key: value for key, value in asdict(measurement).items() if value}
    floor = found[FLOOR].decode_rate if FLOOR in found and name != FLOOR else 0.0
    if floor and measurement.decode_rate:
        figures["over_floor"] = 1e6 / measurement.decode_rate - 1e6 / floor
    return figures
