"""The prompt loop of `remuda run`. It keeps the conversation and sends all of it with every turn."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import FormattedText

from remuda.cli.answer import AnswerPrinter, statistics
from remuda.cli.client import Client
from remuda.cli.options import RunOptions

QUOTES = '"""'
HELP = """\
Available Commands:
  /set system <text>   Set the system message
  /set verbose, quiet  Show or hide timings
  /set think, nothink  Let the model think, or not
  /show info           Show what the model is
  /clear               Clear the session context
  /bye                 Exit
  /?, /help            Help for a command

Use \"\"\" to begin a multi-line message.
"""


class Repl:
    """A conversation with one model. `ask` shows a prompt and reads a line; it raises EOFError at the input's end."""

    def __init__(
        self, client: Client, options: RunOptions, about: dict[str, Any], ask: Callable[[str], str] | None = None
    ) -> None:
        self._client = client
        self._options = options
        self._about = about
        self._messages: list[dict[str, str]] = []
        self._system = ""
        self._ask = ask or _terminal()

    def loop(self) -> None:
        """Runs until /bye or Ctrl-D. Loads the model first, so that errors come early."""
        for _ in self._client.stream("/api/generate", self._options.fields()):
            pass
        while (line := self._read()) is not None:
            if line.startswith("/"):
                if not self._command(line):
                    return
            elif line.strip():
                self._chat(line)

    def _read(self) -> str | None:
        try:
            line = self._ask(">>> ")
            return self._read_quoted(line.removeprefix(QUOTES)) if line.startswith(QUOTES) else line
        except KeyboardInterrupt:
            print("\nUse Ctrl + d or /bye to exit.")
            return ""
        except EOFError:
            print()
            return None

    def _read_quoted(self, line: str) -> str:
        lines = [line]
        while not lines[-1].endswith(QUOTES):
            lines.append(self._ask("... "))
        return "\n".join(lines).removesuffix(QUOTES)

    def _chat(self, text: str) -> None:
        self._messages.append({"role": "user", "content": text})
        printer = AnswerPrinter(self._options.hide_thinking)
        try:
            body = {**self._options.fields(), "messages": self._messages}
            final = printer.show(self._client.stream("/api/chat", body))
        except KeyboardInterrupt:
            print("\n")
            return
        print("\n")
        self._messages.append({"role": "assistant", "content": printer.text})
        if self._options.verbose:
            sys.stderr.write(statistics(final))

    def _command(self, line: str) -> bool:
        """Carries out a slash command. Returns False if it ends the loop."""
        match line.split():
            case ["/bye" | "/exit", *_]:
                return False
            case ["/clear", *_]:
                self._clear()
            case ["/set", setting, *_]:
                self._set(setting, line)
            case ["/show", "info", *_]:
                sys.stderr.write(model_report(self._about))
            case ["/?" | "/help" | "/set" | "/show", *_]:
                sys.stderr.write(HELP)
            case _:
                print(f"Unknown command '{line.split()[0]}'. Type /? for help")
        return True

    def _clear(self) -> None:
        self._messages = [{"role": "system", "content": self._system}] if self._system else []
        print("Cleared session context")

    def _set(self, setting: str, line: str) -> None:
        match setting:
            case "system":
                self._set_system(line.split(maxsplit=2)[2] if len(line.split()) > 2 else "")
            case "verbose" | "quiet":
                self._options = replace(self._options, verbose=setting == "verbose")
                print(f"Set '{setting}' mode.")
            case "think" | "nothink":
                self._options = replace(self._options, think=setting == "think")
                print(f"Set '{setting}' mode.")
            case _:
                print(f"Unknown command '/set {setting}'. Type /? for help")

    def _set_system(self, text: str) -> None:
        text = self._read_quoted(text.removeprefix(QUOTES)) if text.startswith(QUOTES) else " ".join(text.split())
        if self._messages and self._messages[-1]["role"] == "system":
            self._messages.pop()
        self._system = text
        self._messages.append({"role": "system", "content": text})
        print("Set system message.")


def model_report(about: dict[str, Any]) -> str:
    """The Model and Capabilities sections of `/show info`."""
    details, info = about.get("details", {}), about.get("model_info", {})
    architecture = info.get("general.architecture", details.get("family", ""))
    rows = (
        ("architecture", architecture),
        ("parameters", details.get("parameter_size", "")),
        ("context length", info.get(f"{architecture}.context_length", "")),
        ("embedding length", info.get(f"{architecture}.embedding_length", "")),
        ("quantization", details.get("quantization_level", "")),
    )
    model = "".join(f"    {label:<20}{value}    \n" for label, value in rows if value)
    capabilities = "".join(f"    {name}    \n" for name in about.get("capabilities", []))
    return f"  Model\n{model}\n  Capabilities\n{capabilities}\n"


def _terminal() -> Callable[[str], str]:
    session: PromptSession[str] = PromptSession()
    placeholder = FormattedText([("fg:ansibrightblack", "Send a message (/? for help)")])

    def ask(prompt: str) -> str:
        return session.prompt(prompt, placeholder=placeholder if prompt == ">>> " else "")

    return ask
