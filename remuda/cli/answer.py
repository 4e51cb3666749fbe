"""Prints a streamed answer: the thinking between its two marks, the text, and on request the timings."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TextIO

from remuda.durations import go_duration, seconds

GREY, RESET = "\x1b[38;5;245m", "\x1b[0m"


@dataclass(slots=True)
class AnswerPrinter:
    """Writes the parts of one answer to `out` as they arrive. `text` is the answer without its thinking."""

    hide_thinking: bool
    out: TextIO = field(default_factory=lambda: sys.stdout)
    text: str = ""
    _thinking: str = ""

    def show(self, parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """Prints all parts. Returns the last one, which holds the timings."""
        last: dict[str, Any] = {}
        for last in parts:
            message = last.get("message", last)
            self._show_thinking(message.get("thinking", ""))
            self._show_text(message.get("response", "") or message.get("content", ""))
            for call in message.get("tool_calls") or ():
                self._show_tool_call(call["function"])
        return last

    def _show_thinking(self, text: str) -> None:
        if not text or self.hide_thinking:
            return
        if not self._thinking:
            self._write(self._grey("Thinking...") + "\n")
        self._thinking += text
        self._write(self._grey(text))

    def _show_text(self, text: str) -> None:
        if not text:
            return
        if self._thinking and not self.text:
            end = "" if self._thinking.endswith("\n") else "\n"
            self._write(f"{end}{self._grey('...done thinking.')}\n\n")
        self.text += text
        self._write(text)

    def _show_tool_call(self, function: dict[str, Any]) -> None:
        import orjson

        arguments = orjson.dumps(function["arguments"]).decode()
        name = function["name"]
        self._write(f"  Model called a non-existent function '{name}()' with arguments: {arguments}\n")

    def _grey(self, text: str) -> str:
        return f"{GREY}{text}{RESET}" if self.out.isatty() else text

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()


def statistics(final: dict[str, Any]) -> str:
    """The timings that `--verbose` prints, of those that the answer has."""
    lines: list[str] = []
    for label, key in (("total duration", "total_duration"), ("load duration", "load_duration")):
        if value := final.get(key, 0):
            lines.append(_line(label, go_duration(value)))
    for label in ("prompt eval", "eval"):
        key = label.replace(" ", "_")
        count, duration = final.get(f"{key}_count", 0), final.get(f"{key}_duration", 0)
        if count:
            lines.append(_line(f"{label} count", f"{count} token(s)"))
        if duration:
            lines.append(_line(f"{label} duration", go_duration(duration)))
            lines.append(_line(f"{label} rate", f"{count / seconds(duration):.2f} tokens/s"))
    return "".join(lines)


def _line(label: str, value: str) -> str:
    return f"{label + ':':<22}{value}\n"
