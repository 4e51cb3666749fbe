"""`remuda run`: one answer, or a conversation at a terminal."""

import sys

from remuda.cli.answer import AnswerPrinter, statistics
from remuda.cli.client import Client, open_client
from remuda.cli.options import RunOptions


def run_model(options: RunOptions) -> None:
    """Answers the prompt, or starts a conversation if there is none. Ctrl-C ends it without an error."""
    prompt = read_prompt(options.prompt)
    try:
        with open_client() as client:
            about = client.post("/api/show", {"model": options.model})
            options = options.for_model(about.get("capabilities", []))
            if prompt is None:
                from remuda.cli.repl import Repl

                Repl(client, options, about).loop()
            else:
                answer_once(client, options, prompt)
    except KeyboardInterrupt:
        print()


def read_prompt(words: tuple[str, ...] | None) -> str | None:
    """The piped input followed by the command line's words. None, for a conversation: no words, and only terminals."""
    if words is None and sys.stdin.isatty() and sys.stdout.isatty():
        return None
    piped = "" if sys.stdin.isatty() else sys.stdin.buffer.read().decode(errors="replace")
    return " ".join([*([piped] if piped else []), *(words or ())])


def answer_once(client: Client, options: RunOptions, prompt: str) -> None:
    """Streams one answer to stdout. An empty prompt only loads the model."""
    parts = client.stream("/api/generate", {**options.fields(), "prompt": prompt})
    final = AnswerPrinter(options.hide_thinking).show(parts)
    if prompt:
        print("\n")
    if options.verbose:
        sys.stderr.write(statistics(final))
