"""A model's thoughts: between which tags they stand, and which models must not see those of earlier answers."""

from dataclasses import dataclass, replace

from gateway.generation.request import Message
from gateway.prompt.templates.go_syntax import Tags

THINK_TAGS = Tags("<think>", "</think>")

FORGETFUL_FAMILY = "qwen3"
FORGETFUL_NAME = "deepseek-r1"
"""Ollama removes the thoughts of earlier answers from the conversations of this family and of models of this name."""


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
        replace(message, content=_without_thoughts(message.content))
        if message.role == "assistant" and index < last_user
        else message
        for index, message in enumerate(messages)
    )


def _without_thoughts(content: str) -> str:
    """The content without its first thoughts and the white space after them."""
    before, opening, rest = content.partition(THINK_TAGS.opening)
    _, closing, after = rest.partition(THINK_TAGS.closing)
    return before + after.lstrip() if opening and closing else content
