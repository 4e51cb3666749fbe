"""Images and sounds in prompts: marks of the form `[img-N]` in the text, and the text divided at them (http-api 4.5).
What is said of images here goes for sounds too, as in Ollama.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.generation.request import Message

CELLS_PER_IMAGE = 768
"""Tokens that an image counts for when a conversation is shortened: Ollama's number. The worker knows the true one."""

PLACEHOLDER = "[img]"
_MARK = re.compile(r"\[img-(\d{1,6})\]")


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text that ends at an image."""

    text: str
    image: bytes


@dataclass(frozen=True, slots=True)
class TokenPart:
    """Tokens that end at an image."""

    tokens: list[int]
    image: bytes


def images_of(messages: Sequence[Message]) -> list[bytes]:
    """All images of a conversation, in the order of their marks' numbers."""
    return [image for message in messages for image in message.images]


def with_marks(messages: Sequence[Message], *, at_end: bool) -> list[Message]:
    """The messages with a mark for each image in their contents: in the place of `[img]` where there is one, else at
    the beginning. `at_end`: after the content, whatever is in it, as Ollama's runner has them."""
    marked: list[Message] = []
    number = 0
    for message in messages:
        marks = [f"[img-{number + index}]" for index in range(len(message.images))]
        number += len(marks)
        content = message.content + "".join(marks) if at_end else _placed(message.content, marks)
        marked.append(replace(message, content=content) if marks else message)
    return marked


def divide(text: str, images: Sequence[bytes]) -> tuple[list[TextPart], str]:
    """The text up to each mark with the image that it stands for, and the text after the last one. Marks with a number
    that no image has are text."""
    parts: list[TextPart] = []
    begin = 0
    for mark in _MARK.finditer(text):
        if (number := int(mark[1])) < len(images):
            parts.append(TextPart(text[begin : mark.start()], images[number]))
            begin = mark.end()
    return parts, text[begin:]


def _placed(content: str, marks: Sequence[str]) -> str:
    before = ""
    for mark in marks:
        if PLACEHOLDER in content:
            content = content.replace(PLACEHOLDER, mark, 1)
        else:
            before += mark
    return before + content
