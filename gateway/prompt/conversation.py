"""Conversations: their messages in Ollama's order, and the JSON that templates of each language see."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from gateway.generation.request import Generation, Kind, Message
from remuda.v1 import store_pb2


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that a chat template shows."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    think: bool | str | None = None  # None leaves the choice to the template
    bos: str = ""  # the text of the tokenizer's token, "" where it has none
    eos: str = ""


def assemble(generation: Generation, bundle: store_pb2.Bundle) -> tuple[Message, ...]:
    """The messages of a request: the model's own messages and system text come first."""
    stored = tuple(Message(message.role, message.content) for message in bundle.messages)
    if generation.kind is Kind.GENERATE:
        system = generation.system or bundle.system
        before = (Message("system", system),) if system else ()
        example = stored if generation.context is None else ()
        return (*before, *example, Message("user", generation.prompt, images=generation.images))
    messages = stored + generation.messages
    if bundle.system and generation.messages[0].role != "system":
        messages = (Message("system", bundle.system), *messages)
    return messages


def merged(messages: Iterable[Message]) -> list[Message]:
    """Joins neighbours of one role, with a blank line between their contents. Tool results stay apart."""
    result: list[Message] = []
    for role, group in groupby(messages, lambda message: message.role):
        first, *others = group
        if role == "tool":
            result += [first, *others]
        elif others:
            result.append(replace(first, content="\n\n".join(one.content for one in (first, *others))))
        else:
            result.append(first)
    return result


def system_text(messages: Iterable[Message]) -> str:
    """The contents of all system messages."""
    return "\n\n".join(message.content for message in messages if message.role == "system")


def jinja_variables(conversation: Conversation) -> dict[str, Any]:
    """The variables of a Hugging Face chat template."""
    think = conversation.think
    variables: dict[str, Any] = {
        "messages": [jinja_message(message) for message in conversation.messages],
        "add_generation_prompt": True,
        "bos_token": conversation.bos,
        "eos_token": conversation.eos,
    }
    if conversation.tools:
        variables["tools"] = list(conversation.tools)
    if think is not None:
        variables["enable_thinking"] = bool(think)
    if isinstance(think, str):
        variables["reasoning_effort"] = think
    return variables


def jinja_message(message: Message) -> dict[str, Any]:
    """One message in OpenAI's form, without its thoughts."""
    result: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        result["tool_calls"] = tool_calls(message)
    if message.tool_name:
        result["name"] = message.tool_name
    if message.tool_call_id:
        result["tool_call_id"] = message.tool_call_id
    return result


def tool_calls(message: Message) -> list[dict[str, Any]]:
    """The calls in OpenAI's form, but with arguments as objects."""
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
        for call in message.tool_calls
    ]


def think_variables(think: bool | str | None) -> dict[str, Any]:
    """The variables by which Go templates know about thinking."""
    level = think if isinstance(think, str) else "medium" if think else ""
    return {"Think": bool(think), "ThinkLevel": level, "IsThinkSet": think is not None}


def go_variables_of(conversation: Conversation) -> dict[str, Any]:
    """The variables of a Go template that shows messages, as JSON."""
    return {
        "System": system_text(conversation.messages),
        "Messages": [_go_message(message) for message in merged(conversation.messages)],
        "Tools": list(conversation.tools),
        **think_variables(conversation.think),
    }


def _go_message(message: Message) -> dict[str, Any]:
    """Templates see the number of the images; the marks of the images stand in the content."""
    return jinja_message(message) | {"thinking": message.thinking, "images": [""] * len(message.images)}
