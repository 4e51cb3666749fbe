"""The options of `remuda run`, as fields of an API request."""

from dataclasses import dataclass, replace
from typing import Any

import orjson

from remuda.cli.errors import CommandError
from remuda.durations import parse_duration

THINK_LEVELS = ("high", "medium", "low", "max")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The arguments of `remuda run`. A field that is None is absent from the request."""

    model: str
    prompt: tuple[str, ...] | None
    keep_alive: str | int | None
    format: Any
    think: bool | str | None
    verbose: bool
    hide_thinking: bool

    @classmethod
    def parse(
        cls,
        model: str,
        prompt: list[str] | None,
        keep_alive: str,
        verbose: bool,
        format: str,
        think: str | None,
        hide_thinking: bool,
    ) -> "RunOptions":
        """Reads the command line's values. Raises CommandError for one that the API has no form for."""
        return cls(
            model=model,
            prompt=tuple(prompt) if prompt else None,
            keep_alive=parse_keep_alive(keep_alive),
            format=parse_format(format),
            think=None if think is None else parse_think(think),
            verbose=verbose,
            hide_thinking=hide_thinking,
        )

    def for_model(self, capabilities: list[str]) -> "RunOptions":
        """These options for a model with `capabilities`: one that can think does so unless `--think` says otherwise."""
        return replace(self, think=True) if self.think is None and "thinking" in capabilities else self

    def fields(self) -> dict[str, Any]:
        """The request fields that these options set."""
        fields = {"model": self.model, "keep_alive": self.keep_alive, "format": self.format, "think": self.think}
        return {name: value for name, value in fields.items() if value is not None}


def parse_keep_alive(text: str) -> str | int | None:
    """Reads a Go duration. Bare numbers are refused, as by Ollama's command."""
    if not text:
        return None
    try:
        return -1 if parse_duration(text) < 0 else text
    except ValueError as error:
        raise CommandError(str(error)) from error


def parse_format(text: str) -> Any:
    """Reads `json` or a JSON schema."""
    if text in ("", "json"):
        return text or None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"invalid value for --format: {error}") from error


def parse_think(text: str) -> bool | str:
    """Reads `true` (which a bare flag means, too), `false` or a level."""
    if text in ("", "true", "false"):
        return text != "false"
    if text in THINK_LEVELS:
        return text
    raise CommandError(f'invalid value for --think: "{text}" (must be true, false, high, medium, low, or max)')
