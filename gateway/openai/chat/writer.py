"""Chat completions, streamed and whole."""

import time
from collections.abc import Sequence
from typing import Any

from gateway.errors import GatewayError
from gateway.generation.events import Delta, Done, TokenLogprob, WholeReply
from gateway.generation.request import ToolCall
from gateway.golang.json import encode, encode_text
from gateway.http.debug_info import debug_info
from gateway.http.logprobs import logprob_objects
from gateway.openai.errors import OPENAI_ERRORS
from gateway.openai.frames import (
    END,
    EVENT_STREAM,
    FINGERPRINT,
    JSON,
    finish_reason,
    new_id,
    sse,
    usage_of,
)

CONTENT_END = b'},"finish_reason":null}]}\n\n'


class ChatWriter:
    """Writes one chat completion (`gateway.http.event_writer.EventWriter`).

    Nearly all chunks hold a piece of content and nothing else. Their constant part is encoded once.
    """

    stream_type = EVENT_STREAM
    json_type = JSON
    streams_immediate = True

    def __init__(self, model: str, *, include_usage: bool) -> None:
        self._id = new_id("chatcmpl")
        self._model = model
        self._include_usage = include_usage
        self._created = 0  # Unix seconds of the first chunk
        self._content_start = b""
        self._has_calls = False

    def delta(self, event: Delta) -> bytes:
        if self._created and not event.thinking and not event.tool_calls and not event.logprobs:
            return self._content_start + encode_text(event.content) + CONTENT_END
        content = {"content": event.content, **self._calls(event.tool_calls)}
        if not event.thinking:
            return self._chunk(content, event.logprobs)
        if event.content or event.tool_calls:
            return self._chunk({"reasoning": event.thinking}, event.logprobs) + self._chunk(content)
        return self._chunk({"content": "", "reasoning": event.thinking}, event.logprobs)

    def done(self, event: Done) -> bytes:
        rest = b""
        if event.tool_calls or not self._created:
            rest = self._chunk({"content": "", **self._calls(event.tool_calls)})
        reason = finish_reason(event.reason, has_calls=self._has_calls) or "stop"
        rest += sse(self._object([{"index": 0, "delta": {}, "finish_reason": reason}]))
        if self._include_usage:
            rest += sse({**self._object([]), "usage": usage_of(event)})
        return rest + END

    def error(self, error: GatewayError) -> bytes:
        """A blank chunk without an end marker after it, as in Ollama. Beyond Ollama the chunk has the error: OpenAI's
        clients then raise it instead of taking the reply for whole."""
        blank = {**self._object([_choice({"content": ""})]), "model": ""}
        return sse(blank | OPENAI_ERRORS.body(error))

    def reply(self, reply: WholeReply) -> bytes:
        thinking = {"reasoning": reply.thinking} if reply.thinking else {}
        message = {"role": "assistant", "content": reply.content, **thinking, **self._calls(reply.tool_calls)}
        reason = finish_reason(reply.done.reason, has_calls=self._has_calls)
        self._created = int(time.time())
        choice = {"index": 0, "message": message, "finish_reason": reason, **_logprobs(reply.logprobs)}
        whole = self._object([choice])
        extras = {"object": "chat.completion", "usage": usage_of(reply.done), **debug_info(reply.done)}
        return encode(whole | extras)

    def _chunk(self, delta: dict[str, Any], logprobs: Sequence[TokenLogprob] = ()) -> bytes:
        role = {} if self._created else self._begin()
        return sse(self._object([_choice(role | delta) | _logprobs(logprobs)]))

    def _begin(self) -> dict[str, Any]:
        """Encodes what all chunks repeat. Returns the role, which only the first chunk has."""
        self._created = int(time.time())
        head = encode(self._object([])).removesuffix(b"]}")
        self._content_start = b'data: %b{"index":0,"delta":{"content":' % head
        return {"role": "assistant"}

    def _calls(self, calls: Sequence[ToolCall]) -> dict[str, Any]:
        if not calls:
            return {}
        self._has_calls = True
        return {"tool_calls": tool_call_objects(calls)}

    def _object(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
            "choices": choices,
        }


def _logprobs(logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
    return {"logprobs": {"content": logprob_objects(logprobs, always_top=True)}} if logprobs else {}


def tool_call_objects(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """`tool_calls`. The arguments are a string of JSON."""
    return [
        {
            "id": call.id,
            "index": call.index,
            "type": "function",
            "function": {"name": call.name, "arguments": encode(dict(call.arguments)).decode()},
        }
        for call in calls
    ]


def _choice(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": None}
