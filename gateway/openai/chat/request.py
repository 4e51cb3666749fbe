"""The body of `/v1/chat/completions`, and its translation to a `Generation`."""

from typing import Any, ClassVar

from pydantic import Field

from gateway.errors import invalid
from gateway.generation.request import Generation, Kind
from gateway.http.body import GoList, GoObject
from gateway.http.tools import Tool
from gateway.openai.chat.messages import ChatMessage, native_messages
from gateway.openai.completion_base import CompletionBase

_THINK_BY_EFFORT = {
    "": None,
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
    "xhigh": "max",
    "ultra": "max",
}
"""Ollama's `think` by OpenAI's reasoning effort."""


class Reasoning(GoObject):
    """`reasoning`."""

    effort: str = ""


class JsonSchema(GoObject):
    """`response_format.json_schema`."""

    json_schema: Any = Field(default=None, alias="schema")


class ResponseFormat(GoObject):
    """`response_format`."""

    type: str = ""
    json_schema: JsonSchema = JsonSchema()

    @property
    def native(self) -> Any:
        """Ollama's `format`. Types that it does not know constrain nothing."""
        match self.type.strip().lower():
            case "json_object":
                return "json"
            case "json_schema":
                return self.json_schema.json_schema
            case _:
                return None


class ChatCompletionRequest(CompletionBase):
    """The body of `/v1/chat/completions`."""

    go_type: ClassVar[str] = "ChatCompletionRequest"
    messages: GoList[ChatMessage] = Field(default=[])
    response_format: ResponseFormat = ResponseFormat()
    tools: GoList[Tool] = Field(default=[])
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
        options, stop = self.common_options(), self.stop_list()
        if stop is not None:
            options["stop"] = [text for text in stop if isinstance(text, str)]
        return options


def think_of(effort: str) -> bool | str | None:
    """Ollama's `think` for an effort. Raises GatewayError for an unknown one."""
    if effort not in _THINK_BY_EFFORT:
        choices = '"minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none"'
        raise invalid(f'invalid reasoning value: "{effort}" (must be {choices})')
    return _THINK_BY_EFFORT[effort]
