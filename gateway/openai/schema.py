"""The bodies of `/v1/chat/completions` and `/v1/completions`, and their translation to a `Generation`."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from gateway.errors import invalid
from gateway.generation.request import Generation, Kind
from gateway.http.body import GoObject
from gateway.http.tools import Tool
from gateway.openai.chat.messages import ChatMessage, native_messages
from gateway.openai.completions.prompts import PromptInput, read_prompts
from gateway.openai.field_types import Reasoning, ResponseFormat, StreamOptions, go_kind, listed, think_of

DEFAULT_TEMPERATURE = 1.0
DEFAULT_TOP_P = 1.0
"""OpenAI's defaults; they have precedence over the model's own parameters."""


class CompletionBase(GoObject):
    """What both bodies have in common."""

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
        given = {
            "num_predict": self.max_tokens,
            "seed": self.seed,
            "temperature": DEFAULT_TEMPERATURE if self.temperature is None else self.temperature,
            "top_p": DEFAULT_TOP_P if self.top_p is None else self.top_p,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
        }
        return {name: value for name, value in given.items() if value is not None}


class ChatCompletionRequest(CompletionBase):
    """The body of `/v1/chat/completions`."""

    go_type: ClassVar[str] = "ChatCompletionRequest"
    messages: list[ChatMessage] = Field(default=[])
    response_format: ResponseFormat = ResponseFormat()
    tools: list[Tool] = Field(default=[])
    reasoning: Reasoning | None = None
    reasoning_effort: str = ""
    logprobs: bool = False
    top_logprobs: int = 0

    def generation(self) -> Generation:
        """Raises GatewayError."""
        if not self.messages:
            raise invalid("[] is too short - 'messages'")
        return Generation(
            kind=Kind.CHAT,
            model=self.model,
            messages=tuple(native_messages(self.messages)),
            tools=tuple(tool.schema_object() for tool in self.tools),
            options=self._options(),
            think=think_of(self.reasoning_effort if self.reasoning is None else self.reasoning.effort),
            format=self.response_format.native,
            logprobs=self.logprobs,
            top_logprobs=self.top_logprobs,
            debug_render_only=self.debug_render_only,
        )

    def _options(self) -> dict[str, Any]:
        options, stop = self.common_options(), listed(self.stop)
        if stop is not None:
            options["stop"] = [text for text in stop if isinstance(text, str)]
        return options


class CompletionRequest(CompletionBase):
    """The body of `/v1/completions`. Its `logprobs` have no effect: Ollama computes them and does not return them."""

    go_type: ClassVar[str] = "CompletionRequest"
    prompts: Annotated[tuple[PromptInput, ...], BeforeValidator(read_prompts), Field(alias="prompt")] = ("",)
    suffix: str = ""

    def generations(self, limit: int) -> list[Generation]:
        """One for each prompt; `limit` is how many there may be. Raises GatewayError."""
        if len(self.prompts) > limit:
            raise invalid(f"more than {limit} prompts in one request")
        if self.suffix and not all(isinstance(prompt, str) for prompt in self.prompts):
            raise invalid("suffix needs a prompt of text, not of token ids")
        return [self._generation(prompt) for prompt in self.prompts]

    def _generation(self, prompt: PromptInput) -> Generation:
        is_text = isinstance(prompt, str)
        return Generation(
            kind=Kind.GENERATE,
            model=self.model,
            prompt=prompt if is_text else "",
            prompt_tokens=() if is_text else prompt,
            raw=not is_text,
            suffix=self.suffix,
            options=self._options(),
            debug_render_only=self.debug_render_only,
        )

    def _options(self) -> dict[str, Any]:
        options = {"frequency_penalty": 0.0, "presence_penalty": 0.0} | self.common_options()
        options["top_p"] = options["top_p"] or DEFAULT_TOP_P
        stop = listed(self.stop)
        if stop is not None:
            options["stop"] = [_stop_string(text) for text in stop]
        return options


def _stop_string(value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(f"invalid type for 'stop' field: {go_kind(value)}")
    return value
