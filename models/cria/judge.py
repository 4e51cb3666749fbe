"""Judges an answer: compares a server's reply with what a turn expects."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from models.cria.kinds import Call, Turn


@dataclass(frozen=True)
class Reply:
    """The reply of a server."""

    content: str
    thinking: str = ""
    calls: tuple[Call, ...] = field(default=())


def _parse_call(function: dict[str, Any]) -> Call:
    arguments = function["arguments"]
    return Call(function["name"], _loads(arguments) if isinstance(arguments, str) else arguments)


def parse_calls(message: dict[str, Any]) -> tuple[Call, ...]:
    """The calls of an assistant message in the form of OpenAI or Ollama."""
    calls: list[dict[str, Any]] = message.get("tool_calls") or []
    return tuple(_parse_call(call["function"]) for call in calls)


def _untag(text: str, opening: str, closing: str) -> tuple[list[str], str]:
    """Splits a text into its tagged pieces and the rest."""
    pieces: list[str] = []
    while opening in text and closing in text:
        head, _, tail = text.partition(opening)
        piece, _, tail = tail.partition(closing)
        pieces.append(piece.strip())
        text = head + tail
    return pieces, text.strip()


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _written_call(text: str) -> Call | None:
    body: Any = _loads(text)
    if not isinstance(body, dict):
        return None
    fields: dict[str, Any] = {**body}
    return Call(str(fields.get("name")), fields.get("arguments", {}))


def understood(reply: Reply) -> Reply:
    """Moves thinking and calls out of the text, for servers that leave them there."""
    thoughts, content = _untag(reply.content, "<think>", "</think>")
    pieces, content = _untag(content, "<tool_call>", "</tool_call>")
    calls = tuple(call for call in map(_written_call, pieces) if call)
    return Reply(content, reply.thinking or "\n".join(thoughts), reply.calls or calls)


def _same_json(answer: str, expected: str) -> bool:
    return _loads(answer) == json.loads(expected)


def right(turn: Turn, reply: Reply) -> bool:
    """Whether the reply fits the turn. It must contain thinking exactly where the turn does."""
    reply = understood(reply)
    if bool(reply.thinking.strip()) != bool(turn.think):
        return False
    if turn.calls or reply.calls:
        return reply.calls == turn.calls
    if turn.category == "json":
        return _same_json(reply.content, turn.answer)
    if turn.expect:
        return all(part in reply.content for part in turn.expect)
    return reply.content.strip() == turn.answer.strip()
