"""The chat template of cria, rendered as the servers render it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.cria.kinds import Call, Json, Turn

TEMPLATE = Path(__file__).with_name("template.jinja")


def template_text() -> str:
    return TEMPLATE.read_text(encoding="utf-8").rstrip("\n")


def _tojson(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@cache
def _template() -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = _tojson
    return environment.from_string(template_text())


def render(messages: list[Json], tools: list[Json] | None = None, enable_thinking: bool | None = None) -> str:
    """Renders the prompt for the next answer of the assistant."""
    extra = {} if enable_thinking is None else {"enable_thinking": enable_thinking}
    return _template().render(messages=messages, tools=tools, add_generation_prompt=True, **extra)


def call_message(calls: tuple[Call, ...]) -> Json:
    functions = [{"type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in calls]
    return {"role": "assistant", "content": "", "tool_calls": functions}


def prompt_messages(turn: Turn) -> list[Json]:
    """The messages of a turn up to the answer."""
    messages: list[Json] = [{"role": "system", "content": turn.system}] if turn.system else []
    for question, answer in turn.before:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    messages.append({"role": "user", "content": turn.user})
    if turn.past:
        messages.append(call_message(turn.past))
        messages += [{"role": "tool", "content": result} for result in turn.results]
    return messages
