"""A reply's text as events: thoughts first, then content and tool calls."""

from gateway.formats.call_parser import CallParser
from gateway.formats.thinking_splitter import ThinkingSplitter
from gateway.generation.events import Delta
from gateway.generation.request import ToolCall


class ReplyParser:
    """Reads text as the model writes it. Without a splitter and a call parser all text is content."""

    def __init__(self, thinking: ThinkingSplitter | None = None, calls: CallParser | None = None) -> None:
        self._thinking = thinking
        self._calls = calls

    def feed(self, text: str) -> Delta | None:
        """Takes more text; returns what is certain now, None if nothing is. Raises GatewayError for a broken call."""
        thoughts, content = self._thinking.feed(text) if self._thinking else ("", text)
        calls: list[ToolCall] = []
        if self._calls and content:
            content, calls = self._calls.feed(content)
        return Delta(content, thoughts, tuple(calls)) if content or thoughts or calls else None

    def end(self) -> tuple[Delta | None, tuple[ToolCall, ...]]:
        """Returns the text that was held back and the calls that come last. Raises GatewayError for a broken call."""
        thoughts, content = self._thinking.end() if self._thinking else ("", "")
        calls: list[ToolCall] = []
        if self._calls:
            before, _ = self._calls.feed(content)
            rest, calls = self._calls.end()
            content = before + rest
        return (Delta(content, thoughts) if content or thoughts else None), tuple(calls)
