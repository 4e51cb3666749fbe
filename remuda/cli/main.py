"""The `remuda` command. A subcommand's imports happen when it runs, so that small subcommands answer at once."""

import os
import sys
from typing import Annotated

import typer

from remuda import __version__

app = typer.Typer(
    help="Large language models for many clients, with Ollama's API.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[str, typer.Argument(metavar="MODEL", show_default=False)]
Prefix = Annotated[str, typer.Argument(metavar="[PREFIX]", show_default=False)]


def main() -> None:
    """Runs the command line. A failure prints one line `Error: ...` on stderr and exits with status 1."""
    from remuda.cli.errors import CommandError

    try:
        status = app(with_bare_think([readable(text) for text in sys.argv[1:]]), standalone_mode=False)
    except typer.Abort:  # Ctrl-C
        status = 0
    except BrokenPipeError:  # the reader of the pipe is gone; without this Python would fail again at its last flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except (CommandError, typer.TyperException) as error:
        print(f"Error: {_message(error)}", file=sys.stderr)
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def readable(argument: str) -> str:
    """Replaces bytes of an argument that are no UTF-8 by U+FFFD, because JSON cannot carry them."""
    return os.fsencode(argument).decode(errors="replace")


def with_bare_think(arguments: list[str]) -> list[str]:
    """Makes a bare `--think` mean true. Its value comes only after `=`, so that the next word belongs to the prompt."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return ["--think=true" if text == "--think" and i < end else text for i, text in enumerate(arguments)]


def _message(error: Exception) -> str:
    describe = getattr(error, "format_message", None)
    return str(describe()) if describe else str(error)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-v", help="Show the version and exit.")] = False,
) -> None:
    if version:
        print(f"remuda version is {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def serve() -> None:
    """Start the server: gateway, scheduler, store and worker host."""
    from remuda.cli.serve import serve as run_server

    run_server()


@app.command()
def run(
    model: Model,
    prompt: Annotated[list[str] | None, typer.Argument(metavar="[PROMPT]...", show_default=False)] = None,
    keepalive: Annotated[str, typer.Option(help="How long the model stays loaded, such as 5m.")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", help="Show timings after each answer.")] = False,
    format: Annotated[str, typer.Option(help="json, or a JSON schema.")] = "",
    think: Annotated[str | None, typer.Option(help="true, false, high, medium, low or max.")] = None,
    hidethinking: Annotated[bool, typer.Option("--hidethinking", help="Do not show the model's thinking.")] = False,
    nowordwrap: Annotated[bool, typer.Option("--nowordwrap", hidden=True)] = False,
) -> None:
    """Run a model: answer a prompt, or chat at a terminal."""
    from remuda.cli.options import RunOptions
    from remuda.cli.run import run_model

    del nowordwrap  # Ollama's flag: lines are never wrapped here
    run_model(RunOptions.parse(model, prompt, keepalive, verbose, format, think, hidethinking))


@app.command("list")
@app.command("ls", hidden=True)
def list_models(prefix: Prefix = "") -> None:
    """List the models there are."""
    from remuda.cli.catalog import print_models

    print_models(prefix)


@app.command()
def ps(prefix: Prefix = "") -> None:
    """List the models that are loaded."""
    from remuda.cli.catalog import print_residents

    print_residents(prefix)


@app.command()
def stop(model: Model) -> None:
    """Unload a model."""
    from remuda.cli.catalog import stop_model

    stop_model(model)
