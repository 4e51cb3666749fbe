"""The command line of the benchmarks."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Coroutine
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from loadtests import decode, greedy, long_prompt, occupancy, shared_prefix
from loadtests.children import ChildError
from loadtests.contenders import FLOOR, PEER, REMUDA
from loadtests.contest import Options
from loadtests.measurement import StreamError
from loadtests.report import Report

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Benchmarks; docs/performance.md explains them.")


class ModelName(StrEnum):
    """A shape of loadtests/models.py."""

    SMALL = "small"
    LARGE_VOCAB = "large-vocab"
    TINY = "tiny"


class Contender(StrEnum):
    """Who takes part."""

    REMUDA = "remuda"
    PEER = "peer"
    FLOOR = "floor"


NAMES = {Contender.REMUDA: REMUDA, Contender.PEER: PEER, Contender.FLOOR: FLOOR}

Model = Annotated[ModelName, typer.Option(help="Shape of the random-weight model.")]
Rounds = Annotated[int, typer.Option(min=1, help="Measured rounds; medians and spread are over these.")]
Warmup = Annotated[int, typer.Option(min=0, help="Rounds before them that do not count.")]
Tokens = Annotated[int, typer.Option(min=2, help="Tokens of each stream.")]
PromptTokens = Annotated[int, typer.Option(min=1, help="Tokens of each prompt, about.")]
Threads = Annotated[int, typer.Option(min=0, help="llama.cpp's threads; 0 = one per physical core.")]
Only = Annotated[list[Contender] | None, typer.Option(help="Takes part alone; may be repeated. Default: all.")]
Seed = Annotated[int, typer.Option(help="Of prompts and sampling.")]
Json = Annotated[Path | None, typer.Option(help="File for all figures, each round's included.")]
Markdown = Annotated[Path | None, typer.Option(help="File for the table as Markdown.")]


@app.command("engine")
def engine_command(
    model: Model = ModelName.SMALL,
    streams: Annotated[str, typer.Option(help="Numbers of concurrent streams.")] = "1,8,32",
    rounds: Rounds = 5,
    warmup: Warmup = 1,
    tokens: Tokens = 64,
    prompt_tokens: PromptTokens = 32,
    threads: Threads = 0,
    only: Only = None,
    seed: Seed = 1,
    json: Json = None,
    markdown: Markdown = None,
) -> None:
    """Concurrent streams against llama-server and the raw llama_decode floor."""
    options = _options(model, rounds, warmup, tokens, prompt_tokens, threads, only, seed)
    _show(decode.run(options, [int(count) for count in streams.split(",")]), json, markdown)


@app.command("occupancy")
def occupancy_command(
    model: Model = ModelName.SMALL,
    slots: Annotated[int, typer.Option(help="Slots of the server.")] = 32,
    busy: Annotated[int, typer.Option(help="Of these busy.")] = 11,
    rounds: Rounds = 5,
    warmup: Warmup = 1,
    tokens: Tokens = 128,
    prompt_tokens: PromptTokens = 32,
    threads: Threads = 0,
    only: Only = None,
    seed: Seed = 1,
    json: Json = None,
    markdown: Markdown = None,
) -> None:
    """Some of the slots busy at random places, against as many dense ones."""
    options = _options(model, rounds, warmup, tokens, prompt_tokens, threads, only, seed)
    _show(occupancy.run(options, slots, busy), json, markdown)


@app.command("prefix")
def prefix_command(
    model: Model = ModelName.SMALL,
    streams: Annotated[int, typer.Option(help="Requests at once after the first.")] = 31,
    rounds: Rounds = 3,
    warmup: Warmup = 0,
    tokens: Tokens = 8,
    prompt_tokens: Annotated[int, typer.Option(help="Tokens of the shared prefix, about.")] = 1300,
    threads: Threads = 0,
    only: Only = None,
    seed: Seed = 1,
    json: Json = None,
    markdown: Markdown = None,
) -> None:
    """Many requests with a common prefix behind one that filled the cache: time to first token."""
    options = _options(model, rounds, warmup, tokens, prompt_tokens, threads, only, seed)
    _show(shared_prefix.run(options, streams), json, markdown)


@app.command("long-prompt")
def long_prompt_command(
    model: Model = ModelName.SMALL,
    streams: Annotated[int, typer.Option(help="Streams that run when the prompt arrives.")] = 8,
    rounds: Rounds = 3,
    warmup: Warmup = 0,
    tokens: Tokens = 512,
    prompt_tokens: Annotated[int, typer.Option(help="Tokens of the long prompt, about.")] = 8000,
    threads: Threads = 0,
    only: Only = None,
    seed: Seed = 1,
    json: Json = None,
    markdown: Markdown = None,
) -> None:
    """A long prompt arrives among running streams: the longest gap between two of their tokens."""
    options = _options(model, rounds, warmup, tokens, prompt_tokens, threads, only, seed)
    _show(long_prompt.run(options, streams), json, markdown)


@app.command("greedy")
def greedy_command(
    model: Annotated[str, typer.Option(help="GGUF file, or a shape.")] = greedy.CRIA,
    tokens: Tokens = 128,
    prompts: Annotated[int, typer.Option(min=1, max=20, help="How many of the prompts.")] = 20,
    concurrency: Annotated[str, typer.Option(help="Numbers of requests at once.")] = "1,8",
    threads: Threads = 0,
) -> None:
    """Compares Remuda's greedy text with llama-server's, token for token. Exit code 1 when they differ."""
    settings = greedy.Settings(model, tokens, prompts, [int(count) for count in concurrency.split(",")], threads)
    if _run(greedy.run(settings, Console())):
        sys.exit(1)


def _options(
    model: ModelName,
    rounds: int,
    warmup: int,
    tokens: int,
    prompt_tokens: int,
    threads: int,
    only: list[Contender] | None,
    seed: int,
) -> Options:
    chosen = frozenset(NAMES[contender] for contender in only or [])
    return Options(model.value, rounds, warmup, tokens, prompt_tokens, threads, chosen, seed)


def _show(work: Coroutine[Any, Any, Report], json: Path | None, markdown: Path | None) -> None:
    report = _run(work)
    report.print()
    if json is not None:
        report.save(json)
    if markdown is not None:
        markdown.write_text(report.markdown())


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs to the end, or to Ctrl-C or SIGTERM; in any case the children are gone when it returns."""
    try:
        return asyncio.run(_cancelled_by_signals(work))
    except asyncio.CancelledError:
        sys.exit(130)
    except (ChildError, StreamError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Error: {error}")


async def _cancelled_by_signals(work: Coroutine[Any, Any, Any]) -> Any:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # not on every platform
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def main() -> None:
    app()
