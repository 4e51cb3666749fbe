"""The command line of the benchmarks: a subcommand for each case, `all` of them, and `greedy`."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from loadtests import greedy, tables
from loadtests.case import Case
from loadtests.catalogue import CASES
from loadtests.contenders import FLOOR, PEER, REMUDA
from loadtests.models import SHAPES
from loadtests.report import Report
from loadtests.running import CaseError, StoppedError, finish

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Benchmarks; docs/performance.md explains them.")


class Contender(StrEnum):
    """A server or program that takes part."""

    REMUDA = "remuda"
    PEER = "peer"
    FLOOR = "floor"


NAMES = {Contender.REMUDA: REMUDA, Contender.PEER: PEER, Contender.FLOOR: FLOOR}


def numbers(text: str) -> tuple[int, ...]:
    """Parses `1,8,32`."""
    return tuple(int(part) for part in text.split(","))


def shape(name: str) -> str:
    if name not in SHAPES:
        raise typer.BadParameter(f"one of {', '.join(SHAPES)}")
    return name


Shape = Annotated[str | None, typer.Option(parser=shape, metavar="SHAPE", help=f"One of {', '.join(SHAPES)}.")]
Streams = Annotated[Any, typer.Option(parser=numbers, metavar="N,N,...", help="Numbers of concurrent streams.")]
Rounds = Annotated[int | None, typer.Option(min=1, help="Measured rounds; medians and spread are over these.")]
Warmup = Annotated[int | None, typer.Option(min=0, help="Rounds before them that do not count.")]
Tokens = Annotated[int | None, typer.Option(min=2, help="Tokens of each stream.")]
PromptTokens = Annotated[int | None, typer.Option(min=1, help="Tokens of each prompt, about.")]
Slots = Annotated[int | None, typer.Option(min=1, help="Slots of the servers, where that is more than streams.")]
Threads = Annotated[int | None, typer.Option(min=0, help="llama.cpp's threads; 0 = one per physical core.")]
Only = Annotated[list[Contender] | None, typer.Option(help="Takes part alone; may be repeated. Default: all.")]
Seed = Annotated[int | None, typer.Option(help="Of prompts and sampling.")]
Quick = Annotated[bool, typer.Option("--quick", help="A trial in seconds: tiny model, one round. No figure counts.")]
Json = Annotated[Path | None, typer.Option(help="File for all figures, each round's included.")]
Markdown = Annotated[Path | None, typer.Option(help="File for the tables as Markdown.")]


def add(case: Case) -> None:
    """Makes a case a subcommand."""

    def command(
        model: Shape = None,
        streams: Streams = None,
        rounds: Rounds = None,
        warmup: Warmup = None,
        tokens: Tokens = None,
        prompt_tokens: PromptTokens = None,
        slots: Slots = None,
        threads: Threads = None,
        only: Only = None,
        seed: Seed = None,
        quick: Quick = False,
        json: Json = None,
        markdown: Markdown = None,
    ) -> None:
        overrides = {
            "model": model,
            "streams": streams,
            "rounds": rounds,
            "warmup": warmup,
            "tokens": tokens,
            "prompt_tokens": prompt_tokens,
            "slots": slots,
            "threads": threads,
            "only": _contenders(only),
            "seed": seed,
        }
        run_all([case], overrides, quick=quick, json=json, markdown=markdown)

    app.command(case.name, help=f"{case.help} Default: {case.defaults.sizes}.")(command)


@app.command("all")
def all_command(
    case: Annotated[list[str] | None, typer.Option(help="Only this case; may be repeated.")] = None,
    rounds: Rounds = None,
    threads: Threads = None,
    only: Only = None,
    seed: Seed = None,
    quick: Quick = False,
    json: Json = None,
    markdown: Markdown = None,
) -> None:
    """Every case with its own sizes, one after another: some twenty minutes on two cores."""
    if unknown := set(case or []) - {each.name for each in CASES}:
        raise typer.BadParameter(f"no case {', '.join(unknown)}; there are {', '.join(each.name for each in CASES)}")
    overrides = {"rounds": rounds, "threads": threads, "only": _contenders(only), "seed": seed}
    cases = [each for each in CASES if not case or each.name in case]
    run_all(cases, overrides, quick=quick, json=json, markdown=markdown)


@app.command("greedy")
def greedy_command(
    model: Annotated[str, typer.Option(help="GGUF file, or a shape.")] = greedy.CRIA,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens of each stream.")] = 128,
    prompts: Annotated[int, typer.Option(min=1, max=20, help="How many of the prompts.")] = 20,
    concurrency: Annotated[str, typer.Option(help="Numbers of requests at once.")] = "1,8",
    threads: Annotated[int, typer.Option(min=0, help="llama.cpp's threads; 0 = one per physical core.")] = 0,
) -> None:
    """Compares Remuda's greedy text with llama-server's, token for token. Exit code 1 when they differ."""
    settings = greedy.GreedySettings(model, tokens, prompts, list(numbers(concurrency)), threads)
    try:
        differences = finish(greedy.run(settings, Console()))
    except (CaseError, StoppedError) as error:
        sys.exit(error.exit_code)
    sys.exit(1 if differences else 0)


def run_all(
    cases: Sequence[Case], overrides: Mapping[str, Any], *, quick: bool, json: Path | None, markdown: Path | None
) -> None:
    """Runs case after case and writes the files after each. A failure does not stop the other cases, but sets the exit
    code."""
    reports: list[Report] = []
    code = 0
    for case in cases:
        try:
            report = finish(case.run(case.options(overrides, quick=quick)))
            reports.append(replace(report, aims=()) if quick else report)
        except CaseError as error:
            code = error.exit_code
            print(f"{case.name}: {error}", file=sys.stderr)
            continue
        except StoppedError as error:
            sys.exit(error.exit_code)
        tables.show(reports[-1])
        tables.save(reports, json, markdown)
    sys.exit(code)


def _contenders(only: list[Contender] | None) -> frozenset[str] | None:
    return frozenset(NAMES[contender] for contender in only) if only else None


def main() -> None:
    for case in CASES:
        add(case)
    app()
