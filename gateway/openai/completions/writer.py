"""Text completions, streamed and whole. They leave out thinking."""

import time
from collections.abc import Sequence
from typing import Any

from gateway.errors import GatewayError
from gateway.generation.events import Delta, Done, WholeReply
from gateway.golang.json import encode, encode_text
from gateway.http.debug_info import debug_info
from gateway.openai.errors import OPENAI_ERRORS
from gateway.openai.frames import (
    END,
    EVENT_STREAM,
    FINGERPRINT,
    JSON,
    NO_USAGE,
    finish_reason,
    new_id,
    sse,
    total_usage,
)


class CompletionWriter:
    """Writes one text completion of one or more choices (`gateway.http.event_writer.EventWriter`).

    The constant part of the chunks is encoded once.
    """

    stream_type = EVENT_STREAM
    json_type = JSON
    streams_immediate = True

    def __init__(self, model: str, *, include_usage: bool, choices: int = 1) -> None:
        self._id = new_id("cmpl")
        self._model = model
        self._include_usage = include_usage
        self._created = 0  # Unix seconds of the first chunk
        self._head = b""
        self._tail = b""
        self._choices = choices
        self._ended: list[Done] = []

    def delta(self, event: Delta) -> bytes:
        return self._chunk(event.content, b"null", event.choice)

    def done(self, event: Done) -> bytes:
        last = self._chunk("", encode(finish_reason(event.reason)), event.choice)
        self._ended.append(event)
        if len(self._ended) < self._choices:
            return last
        if not self._include_usage or event.is_immediate:
            return last + END
        return last + sse({**self._object([]), "usage": total_usage(self._ended)}) + END

    def error(self, error: GatewayError) -> bytes:
        """A blank chunk without an end marker after it, as in Ollama. Beyond Ollama the chunk has the error: OpenAI's
        clients then raise it instead of taking the reply for whole."""
        choice = {"text": "", "index": 0, "finish_reason": None}
        return sse({**self._object([choice]), "model": ""} | OPENAI_ERRORS.body(error))

    def reply(self, reply: WholeReply) -> bytes:
        return self.choices([reply])

    def choices(self, replies: Sequence[WholeReply]) -> bytes:
        """A whole reply, one choice for each of `replies`."""
        self._created = int(time.time())
        whole: dict[str, Any] = {
            "id": self._id,
            "object": "text_completion",
            "created": self._created,
            "model": self._model,
            "system_fingerprint": FINGERPRINT,
            "choices": [
                {
                    "text": reply.content,
                    "index": index,
                    "finish_reason": finish_reason(reply.done.reason),
                }
                for index, reply in enumerate(replies)
            ],
            "usage": total_usage([reply.done for reply in replies]),
        }
        return encode(whole | debug_info(replies[0].done))

    def _chunk(self, text: str, reason: bytes, index: int) -> bytes:
        if not self._created:
            self._begin()
        return b'%b%b,"index":%d,"finish_reason":%b%b' % (self._head, encode_text(text), index, reason, self._tail)

    def _begin(self) -> None:
        """Encodes what all chunks repeat."""
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
