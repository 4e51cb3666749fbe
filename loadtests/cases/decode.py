"""Cases `engine` and `engine-large-vocab`: concurrent streams with short fresh prompts and default sampling."""

from dataclasses import asdict

from loadtests.aims import Aim
from loadtests.case import Case
from loadtests.contenders import FLOOR, PEER, REMUDA
from loadtests.contest import Contest, contest, facts
from loadtests.dialects import Ask
from loadtests.floor import FloorJob
from loadtests.measurement import Measurement, measure
from loadtests.options import CaseOptions
from loadtests.prompts import fresh_prompts
from loadtests.report import Figure, Report, RoundFigures

FIGURES = (
    Figure("rate", "tokens/s", as_ratio=True),
    Figure("decode_rate", "decode tokens/s", as_ratio=True),
    Figure("ttft", "TTFT ms", digits=1, as_ratio=True),
    Figure("gap_max", "longest gap ms", digits=1),
    Figure("over_floor", "µs/token over floor"),
    Figure("tokens", "tokens"),
    Figure("prompt_tokens", "prompt tokens"),
)


def label(streams: int) -> str:
    return "1 stream" if streams == 1 else f"{streams} streams"


def aims(over_peer: dict[int, float], over_floor: float) -> tuple[Aim, ...]:
    peer = [Aim(label(n), REMUDA, "decode_rate", PEER, at_least=ratio) for n, ratio in over_peer.items()]
    return (*peer, *(Aim(label(n), REMUDA, "decode_rate", FLOOR, at_least=over_floor) for n in over_peer))


AIMS = {"small": aims({1: 1.0, 8: 1.05, 32: 1.1}, 0.97), "large-vocab": aims({8: 1.5, 32: 1.5}, 0.92)}


async def run(options: CaseOptions) -> Report:
    """Measures each contender in turn with the same prompts, for every number of streams, in every round."""
    samples: list[RoundFigures] = []
    context = options.prompt_tokens + options.tokens + 64
    slots = max(*options.streams, options.slots)
    async with contest(options, slots, context, with_floor=True) as field:
        for index in range(-options.warmup, options.rounds):
            for count in options.streams:
                results = await one_round(field, options, count, index)
                if index >= 0:
                    samples += [RoundFigures(label(count), name, index, values(results, name)) for name in results]
        title = f"Decode, model {options.model}"
        return Report(title, FIGURES, facts(options, field), samples, AIMS.get(options.model, ()))


async def one_round(field: Contest, options: CaseOptions, streams: int, index: int) -> dict[str, Measurement]:
    """Returns each contender's figures for `streams` streams. Warm-up rounds have negative indices."""
    prompts = fresh_prompts(streams, options.prompt_tokens, options.seed, streams, index)
    measurements: dict[str, Measurement] = {}
    if field.floor is not None:
        measurements[FLOOR] = await field.floor.measure(FloorJob(prompts=prompts, tokens=options.tokens))
    asks = [
        Ask(prompt=prompt, tokens=options.tokens, seed=options.seed + number) for number, prompt in enumerate(prompts)
    ]
    for server in field.servers:
        measurements[server.name] = measure(await server.run(asks))
    return measurements


def values(measurements: dict[str, Measurement], name: str) -> dict[str, float]:
    """Returns a contender's figures. `over_floor` is the cost of a decoded token beyond the floor's, in microseconds.

    The decode rate is missing if the streams never decoded together.
    """
    measurement = measurements[name]
    figures = {key: value for key, value in asdict(measurement).items() if value}
    floor = measurements[FLOOR].decode_rate if FLOOR in measurements and name != FLOOR else 0.0
    if floor and measurement.decode_rate:
        figures["over_floor"] = 1e6 / measurement.decode_rate - 1e6 / floor
    return figures


CASES = (
    Case(
        "engine",
        "Concurrent streams against llama-server and the raw llama_decode floor.",
        run,
        CaseOptions("small", streams=(1, 8, 32)),
        quick={"streams": (1, 4)},
    ),
    Case(
        "engine-large-vocab",
        "The same where sampling dominates: 128k tokens of vocabulary over little else.",
        run,
        CaseOptions("large-vocab", streams=(8, 32)),
        quick={"streams": (4,)},
    ),
)
