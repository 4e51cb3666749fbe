"""A model's thoughts: between which tags they stand, and which models must not see those of earlier answers."""

import re
from dataclasses import dataclass, replace

from gateway.generation.request import Message
from gateway.prompt.templates.go_syntax import Tags

THINK_TAGS = Tags("<think>", "</think>")

FORGETFUL_FAMILY = "qwen3"
FORGETFUL_NAME = "deepseek-r1"
"""Ollama removes the thoughts of earlier answers from the conversations of this family and of models of this name."""

_OLD_THOUGHTS = re.compile(r"<think>.*?</think>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Thoughts:
    """Where the thoughts of one reply stand."""

    tags: Tags
    inside: bool
    """Whether the prompt ended with the opening tag, so that the reply begins with thoughts."""


def is_forgetful(model: str, family: str) -> bool:
    """Whether thoughts of earlier answers are removed. `model` is the name as the client wrote it."""
    name = model.rpartition("/")[2].partition(":")[0]
    return family == FORGETFUL_FAMILY or name == FORGETFUL_NAME


def without_old_thoughts(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The conversation without the thoughts of answers before the last message of the user."""
    last_user = max((i for i, message in enumerate(messages) if message.role == "user"), default=-1)
    return tuple(
        replace(message, content=_OLD_THOUGHTS.sub("", message.content, count=1))
        if message.role == "assistant" and index < last_user
        else message
        for index, message in enumerate(messages)
    )
