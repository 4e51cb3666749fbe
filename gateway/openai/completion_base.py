"""The fields that the bodies of chat and text completions share, and their translation to options."""

from typing import Any, cast

from pydantic import Field

from gateway.http.body import GoObject

DEFAULT_TEMPERATURE = 1.0
DEFAULT_TOP_P = 1.0
"""OpenAI's defaults. They have precedence over the model's own parameters."""


class StreamOptions(GoObject):
    """`stream_options`."""

    include_usage: bool = False


class CompletionBase(GoObject):
    """The shared fields."""

    model: str = ""
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    max_tokens: int | None = None
    seed: int | None = None
    stop: Any = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    debug_render_only: bool = Field(default=False, alias="_debug_render_only")

    def common_options(self) -> dict[str, Any]:
        """The options that both bodies state alike; `stop` is not among them."""
        options = {
            "num_predict": self.max_tokens,
            "seed": self.seed,
            "temperature": DEFAULT_TEMPERATURE if self.temperature is None else self.temperature,
            "top_p": DEFAULT_TOP_P if self.top_p is None else self.top_p,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
        }
        return {name: value for name, value in options.items() if value is not None}

    def stop_list(self) -> list[Any] | None:
        """`stop` as a list; None where it has no effect."""
        if isinstance(self.stop, str):
            return [self.stop]
        stop: object = self.stop
        return cast("list[Any]", stop) if isinstance(stop, list) else None
