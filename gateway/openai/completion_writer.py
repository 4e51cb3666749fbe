"""Text completions, streamed and whole. Thinking is not part of them."""

import time
from typing import Any

from gateway.encoding import encode
from gateway.errors import ApiError, openai_error
from gateway.generation import Delta, Done, Reply
from gateway.openai.frames import (
    END,
    EVENT_STREAM,
    FINGERPRINT,
    JSON,
    NO_USAGE,
    debug_info,
    encode_text,
    finish_reason,
    new_id,
    sse,
    usage_of,
)


class CompletionWriter:
    """Writes one text completion (`gateway.responses.EventWriter`). What is the same in all chunks is encoded once."""

    stream_type = EVENT_STREAM
    json_type = JSON
    streams_immediate = True

    def __init__(self, model: str, *, include_usage: bool) -> None:
        self._id = new_id("cmpl")
        self._model = model
        self._include_usage = include_usage
        self._created = 0  # Unix seconds of the first chunk
        self._head = b""
        self._tail = b""

    def delta(self, event: Delta) -> bytes:
        return self._chunk(event.content, b"null")

    def done(self, event: Done) -> bytes:
        last = self._chunk("", encode(finish_reason(event.reason, called=False)))
        if not self._include_usage or event.is_immediate:
            return last + END
        return last + sse({**self._object([]), "usage": usage_of(event)}) + END

    def error(self, error: ApiError) -> bytes:
        """As Ollama does, a blank chunk, and the stream ends without its end marker. Beyond Ollama the chunk carries
        the error, upon which OpenAI's clients raise it instead of taking the reply for whole."""
        choice = {"text": "", "index": 0, "finish_reason": None}
        return sse({**self._object([choice]), "model": ""} | openai_error(error))

    def reply(self, reply: Reply) -> bytes:
        self._created = int(time.time())
        whole: dict[str, Any] = {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
            "choices": [
                {"text": reply.content, "index": 0, "finish_reason": finish_reason(reply.done.reason, called=False)}
            ],
            "usage": usage_of(reply.done),
        }
        return encode(whole | debug_info(reply.done))

    def _chunk(self, text: str, reason: bytes) -> bytes:
        if not self._created:
            self._begin()
        return b'%b%b,"index":0,"finish_reason":%b%b' % (self._head, encode_text(text), reason, self._tail)

    def _begin(self) -> None:
        """Fixes what all chunks repeat."""
        self._created = int(time.time())
        usage = {"usage": NO_USAGE} if self._include_usage else {}
        head, tail = encode({**self._object([]), **usage}).split(b'"choices":[]')
        self._head = b'data: %b"choices":[{"text":' % head
        self._tail = b"}]%b\n\n" % tail

    def _object(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "choices": choices,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
        }
