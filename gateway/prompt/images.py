"""Images in prompts: marks of the form `[img-N]` stand for them in the text, which is divided there (http-api 4.5).

Sounds are treated like images, as in Ollama.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.errors import invalid
from gateway.generation.request import Message
from gateway.prompt.truncate import TOO_LONG

CELLS_PER_IMAGE = 768
"""Tokens per image when a conversation is shortened: Ollama's estimate. Only the worker knows the true number."""

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
    """All images of a conversation; the index of an image is the number of its mark."""
    return [image for message in messages for image in message.images]


def with_marks(messages: Sequence[Message], *, at_end: bool) -> list[Message]:
    """The messages with a mark for each of their images.

    A mark replaces an `[img]` in the content, or precedes the content where there is none. With `at_end` all marks
    follow the content, as Ollama's runner puts them.
    """
    marked: list[Message] = []
    number = 0
    for message in messages:
        marks = [f"[img-{number + index}]" for index in range(len(message.images))]
        number += len(marks)
        content = message.content + "".join(marks) if at_end else _placed(message.content, marks)
        marked.append(replace(message, content=content) if marks else message)
    return marked


def divide(text: str, images: Sequence[bytes], most: int) -> tuple[list[TextPart], str]:
    """The text before each mark with the mark's image, and the text after the last mark. A mark without an image is
    text. Raises GatewayError for more than `most` images, which no context holds."""
    parts: list[TextPart] = []
    begin = 0
    for mark in _MARK.finditer(text):
        if (number := int(mark[1])) < len(images):
            if len(parts) == most:
                raise invalid(TOO_LONG)
            parts.append(TextPart(text[begin : mark.start()], images[number]))
            begin = mark.end()
    return parts, text[begin:]


def _placed(content: str, marks: Sequence[str]) -> str:
    first, *others = content.split(PLACEHOLDER)
    placed = [mark + text for mark, text in zip(marks, others, strict=False)]
    unplaced = (PLACEHOLDER + text for text in others[len(placed) :])
    return "".join((*marks[len(placed) :], first, *placed, *unplaced))
