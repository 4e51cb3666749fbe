"""What the parsers of all families' tool calls share."""

import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gateway.generation.request import ToolCall

_ID_CHARACTERS = string.ascii_lowercase + string.digits


class CallParser(Protocol):
    """Finds tool calls in a reply while the model writes it."""

    def feed(self, text: str) -> tuple[str, list[ToolCall]]:
        """Takes more text; returns the content and the calls that are certain now. Raises GatewayError for a broken
        call."""
        ...

    def end(self) -> tuple[str, list[ToolCall]]:
        """Returns the content and the calls that were held back. Raises GatewayError for a broken call."""
        ...


def new_call(index: int, name: str, arguments: Mapping[str, Any]) -> ToolCall:
    """A call with an id of Ollama's form: `call_` and eight random characters."""
    suffix = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(8))
    return ToolCall(name, arguments, f"call_{suffix}", index)


def tool_names(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of a request's tools."""
    return [tool["function"]["name"] for tool in tools]
