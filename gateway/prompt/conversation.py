"""Conversations as templates see them: which messages there are, in Ollama's order, and as JSON for each language."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.generation.request import Generation, Kind, Message
from remuda.v1 import store_pb2

THOUGHTS_DROPPED_IN = ("qwen3", "deepseek-r1")
"""Families whose earlier answers lose their thoughts before they are shown to the model again."""

_THOUGHTS = re.compile(r"<think>.*?</think>\s*", re.DOTALL)


def assemble(generation: Generation, bundle: store_pb2.Bundle) -> tuple[Message, ...]:
    """The whole conversation: the model's own messages and system text, then the request's."""
    stored = tuple(Message(message.role, message.content) for message in bundle.messages)
    if generation.kind is Kind.GENERATE:
        system = generation.system or bundle.system
        before = (Message("system", system),) if system else ()
        example = stored if generation.context is None else ()
        return (*before, *example, Message("user", generation.prompt, images=generation.images))
    messages = stored + generation.messages
    if bundle.system and generation.messages[0].role != "system":
        messages = (Message("system", bundle.system), *messages)
    if _drops_thoughts(generation, bundle):
        messages = _without_old_thoughts(messages)
    return messages


def _drops_thoughts(generation: Generation, bundle: store_pb2.Bundle) -> bool:
    name = generation.model.rpartition("/")[2].partition(":")[0]
    return bundle.details.family == THOUGHTS_DROPPED_IN[0] or name == THOUGHTS_DROPPED_IN[1]


def _without_old_thoughts(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    last_user = max((i for i, message in enumerate(messages) if message.role == "user"), default=-1)
    return tuple(
        replace(message, content=_THOUGHTS.sub("", message.content, count=1))
        if message.role == "assistant" and index < last_user
        else message
        for index, message in enumerate(messages)
    )


def merged(messages: Iterable[Message]) -> list[Message]:
    """Neighbours of one role as one message, contents apart by a blank line; tool results stay on their own."""
    result: list[Message] = []
    for message in messages:
        if result and result[-1].role == message.role != "tool":
            result[-1] = replace(result[-1], content=f"{result[-1].content}\n\n{message.content}")
        else:
            result.append(message)
    return result


def system_text(messages: Iterable[Message]) -> str:
    """The contents of all system messages."""
    return "\n\n".join(message.content for message in messages if message.role == "system")


def jinja_variables(
    messages: Sequence[Message], generation: Generation, think: bool | str | None, bos: str, eos: str
) -> dict[str, Any]:
    """The variables of a Hugging Face chat template. `think` None leaves the choice to the template."""
    variables: dict[str, Any] = {
        "messages": [jinja_message(message) for message in messages],
        "add_generation_prompt": True,
        "bos_token": bos,
        "eos_token": eos,
    }
    if generation.tools:
        variables["tools"] = list(generation.tools)
    if think is not None:
        variables["enable_thinking"] = bool(think)
    if isinstance(think, str):
        variables["reasoning_effort"] = think
    return variables


def jinja_message(message: Message) -> dict[str, Any]:
    """One message in OpenAI's form. Earlier thoughts are not part of it."""
    result: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        result["tool_calls"] = tool_calls(message)
    if message.tool_name:
        result["name"] = message.tool_name
    if message.tool_call_id:
        result["tool_call_id"] = message.tool_call_id
    return result


def tool_calls(message: Message) -> list[dict[str, Any]]:
    """The calls in OpenAI's form, save that arguments are objects."""
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
        for call in message.tool_calls
    ]


def think_variables(think: bool | str | None) -> dict[str, Any]:
    """What Go templates know about thinking."""
    level = think if isinstance(think, str) else "medium" if think else ""
    return {"Think": bool(think), "ThinkLevel": level, "IsThinkSet": think is not None}


def go_variables_of(messages: Sequence[Message], generation: Generation, think: bool | str | None) -> dict[str, Any]:
    """The variables of a Go template that shows messages."""
    return {
        "System": system_text(messages),
        "Messages": [_go_message(message) for message in merged(messages)],
        "Tools": list(generation.tools),
        **think_variables(think),
    }


def _go_message(message: Message) -> dict[str, Any]:
    """Templates see how many images there are, and their marks in the content."""
    return jinja_message(message) | {"thinking": message.thinking, "images": [""] * len(message.images)}
