"""What the parsers of tool calls have in common."""

import secrets
import string
from collections.abc import Mapping
from typing import Any, Protocol

from gateway.generation.request import ToolCall

_ID_CHARACTERS = string.ascii_lowercase + string.digits


class CallParser(Protocol):
    """Finds tool calls in a reply while it is being written."""

    def feed(self, text: str) -> tuple[str, list[ToolCall]]:
        """The content and the calls that are certain now. Raises GatewayError for a call that is none."""
        ...

    def end(self) -> tuple[str, list[ToolCall]]:
        """What was held back. Raises GatewayError for a call that is none."""
        ...


def new_call(index: int, name: str, arguments: Mapping[str, Any]) -> ToolCall:
    """A call with an id as Ollama draws it."""
    drawn = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(8))
    return ToolCall(name, arguments, f"call_{drawn}", index)
