"""The bodies of `/api/generate`, `/api/chat` and `/api/show`, and their translation to a `Generation`."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from gateway.generation.request import Generation, Kind, Message, ToolCall
from gateway.http.body import GoList, GoNumbers, GoObject
from gateway.http.tools import Tool
from gateway.ollama.field_types import decode_image, parse_keep_alive, parse_think

Images = GoList[Annotated[bytes, BeforeValidator(lambda text: decode_image(text) if isinstance(text, str) else text)]]


class CalledFunction(GoObject):
    """The function of a tool call in the history."""

    index: int = 0
    name: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])


class Call(GoObject):
    """A tool call in the history."""

    id: str = ""
    function: CalledFunction = CalledFunction()

    def tool_call(self) -> ToolCall:
        return ToolCall(self.function.name, self.function.arguments, self.id, self.function.index)


class ChatMessage(GoObject):
    """One entry of `messages`."""

    role: str = ""
    content: str = ""
    thinking: str = ""
    images: Images = Field(default_factory=list[bytes])
    tool_calls: GoList[Call] = Field(default_factory=list[Call])
    tool_name: str = ""
    tool_call_id: str = ""

    def message(self) -> Message:
        return Message(
            role=self.role.lower(),
            content=self.content,
            thinking=self.thinking,
            images=tuple(self.images),
            tool_calls=tuple(call.tool_call() for call in self.tool_calls),
            tool_name=self.tool_name,
            tool_call_id=self.tool_call_id,
        )


class InferenceRequest(GoObject):
    """The fields that both bodies have."""

    model: str = ""
    stream: bool = True
    options: dict[str, Any] = Field(default_factory=dict[str, Any])
    keep_alive_ns: Annotated[int | None, BeforeValidator(parse_keep_alive), Field(alias="keep_alive")] = None
    think: Annotated[bool | str | None, BeforeValidator(parse_think)] = None
    format: Any = None
    grammar: str = ""
    truncate: bool = True
    shift: bool = True
    logprobs: bool = False
    top_logprobs: int = 0
    debug_render_only: Annotated[bool, Field(alias="_debug_render_only")] = False

    def common(self) -> dict[str, Any]:
        """The fields that a `Generation` takes as they are."""
        return {name: getattr(self, name) for name in InferenceRequest.model_fields if name != "stream"}


class GenerateRequest(InferenceRequest):
    """The body of `/api/generate`."""

    go_type: ClassVar[str] = "GenerateRequest"
    prompt: str = ""
    suffix: str = ""
    system: str = ""
    template: str = ""
    context: GoNumbers | None = None
    raw: bool = False
    return_tokens: bool = False
    images: Images = Field(default_factory=list[bytes])

    def generation(self) -> Generation:
        return Generation(
            kind=Kind.GENERATE,
            prompt=self.prompt,
            suffix=self.suffix,
            system=self.system or None,
            template=self.template or None,
            context=None if self.context is None else tuple(self.context),
            raw=self.raw,
            wants_context=not self.raw,
            wants_tokens=self.return_tokens,
            images=tuple(self.images),
            **self.common(),
        )


class ChatRequest(InferenceRequest):
    """The body of `/api/chat`."""

    go_type: ClassVar[str] = "ChatRequest"
    messages: GoList[ChatMessage] = Field(default_factory=list[ChatMessage])
    tools: GoList[Tool] = Field(default_factory=list[Tool])

    def generation(self) -> Generation:
        return Generation(
            kind=Kind.CHAT,
            messages=tuple(message.message() for message in self.messages),
            tools=tuple(tool.schema_object() for tool in self.tools),
            **self.common(),
        )


class ShowRequest(GoObject):
    """The body of `/api/show`."""

    go_type: ClassVar[str] = "ShowRequest"
    model: str = ""
    name: str = ""
    system: str = ""
    verbose: bool = False
