"""OpenAI's `messages`, translated to native ones: one for each part of the content."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import orjson

from gateway.errors import invalid
from gateway.generation.request import Message, ToolCall
from gateway.golang.types import type_name
from gateway.http.body import GoList, GoObject

_IMAGE_URL = re.compile(r"data:(?:image/(?:jpeg|jpg|png|webp))?;base64,")


class CalledFunction(GoObject):
    """The function of a tool call."""

    name: str = ""
    arguments: str = ""


class Call(GoObject):
    """An entry of `tool_calls`."""

    id: str = ""
    index: int = 0
    function: CalledFunction = CalledFunction()

    def native(self) -> ToolCall:
        """Raises GatewayError when the arguments are no JSON object."""
        try:
            arguments = orjson.loads(self.function.arguments)
        except orjson.JSONDecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            raise invalid("invalid tool call arguments")
        return ToolCall(self.function.name, cast("dict[str, Any]", arguments), self.id, self.index)


class ChatMessage(GoObject):
    """An entry of `messages`."""

    role: str = ""
    content: Any = None
    reasoning: str = ""
    tool_calls: GoList[Call] | None = None
    name: str = ""
    tool_call_id: str = ""


def native_messages(messages: Sequence[ChatMessage]) -> Iterator[Message]:
    """Raises GatewayError for content that has no native form."""
    names = _names_of_calls(messages)
    for message in messages:
        calls = tuple(call.native() for call in message.tool_calls or ())
        whole = Message(
            role=message.role.lower(),
            thinking=message.reasoning,
            tool_calls=calls,
            tool_name=_tool_name(message, names),
            tool_call_id=message.tool_call_id,
        )
        yield from _with_content(whole, message)


def _with_content(whole: Message, message: ChatMessage) -> Iterator[Message]:
    content = message.content
    if isinstance(content, str):
        yield replace(whole, content=content)
    elif isinstance(content, list):
        yield from _one_per_part(whole, cast("list[Any]", content))
    elif content is None and message.tool_calls is not None:
        yield whole
    else:
        raise invalid(f"invalid message content type: {type_name(content)}")


def _one_per_part(whole: Message, parts: list[Any]) -> Iterator[Message]:
    """One message for each part. As in Ollama, calls and ids go with the last part, and ids without calls are lost."""
    split = [_read_part(whole.role, part) for part in parts] or [Message(whole.role)]
    last = split.pop()
    yield from split
    if whole.tool_calls:
        last = replace(whole, content=last.content, images=last.images)
    if parts or whole.tool_calls:
        yield last


def _read_part(role: str, part: Any) -> Message:
    match part:
        case {"type": "text", "text": str(text)}:
            return Message(role, text)
        case {"type": "image_url", "image_url": str(url) | {"url": str(url)}}:
            return Message(role, images=(_decode_image(url),))
        case {"type": "input_audio", "input_audio": audio}:
            return Message(role, images=(_decode_audio(audio),))
        case {"type": "input_audio"}:
            raise invalid("invalid input_audio format")
        case _:
            raise invalid("invalid message format")


def _decode_image(url: str) -> bytes:
    if url.startswith(("http://", "https://")):
        raise invalid("image URLs are not currently supported, please use base64 encoded data instead")
    prefix = _IMAGE_URL.match(url)
    if prefix is None:
        raise invalid("invalid image input")
    try:
        return base64.b64decode(url[prefix.end() :], validate=True)
    except ValueError:
        raise invalid("invalid image input") from None


def _decode_audio(audio: Any) -> bytes:
    match audio:
        case {"data": str(data)} if data:
            pass
        case dict():
            raise invalid("invalid input_audio format: missing data")
        case _:
            raise invalid("invalid input_audio format")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"invalid input_audio base64 data: {error}") from None


def _names_of_calls(messages: Sequence[ChatMessage]) -> dict[str, str]:
    """The functions of all calls by the calls' ids. Of equal ids the last message's holds, and in it the first."""
    return {
        call.id: call.function.name for message in messages for call in reversed(message.tool_calls or ()) if call.id
    }


def _tool_name(message: ChatMessage, names: Mapping[str, str]) -> str:
    """The function whose result a message is: by its name, or else by the id of the call."""
    if message.role.lower() != "tool":
        return ""
    return message.name or names.get(message.tool_call_id, "")
