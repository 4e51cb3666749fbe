"""Ollama's replies to generate and chat, streamed as NDJSON or whole. The common head of chunks is encoded once."""

from collections.abc import Iterable
from typing import Any

from gateway.errors import GatewayError
from gateway.generation.events import Delta, Done, WholeReply
from gateway.generation.request import ToolCall
from gateway.golang.json import encode, encode_text, sorted_maps
from gateway.golang.times import Clock, utc_time
from gateway.http.debug_info import debug_info
from gateway.http.logprobs import logprob_objects
from gateway.http.replies import JSON
from gateway.ollama.errors import OLLAMA_ERRORS

NDJSON = "application/x-ndjson"


class OllamaWriter:
    """The common part of both writers (`gateway.http.event_writer.EventWriter`)."""

    stream_type = NDJSON
    json_type = JSON
    streams_immediate = False

    def __init__(self, model: str) -> None:
        self._model = model
        self._clock = Clock()
        self._head = b'{"model":%b,"created_at":"' % encode(model)

    def error(self, error: GatewayError) -> bytes:
        return OLLAMA_ERRORS.encode(error) + b"\n"

    def _begin(self) -> bytes:
        """The beginning of a chunk, up to the field after `created_at`."""
        return self._head + self._clock.now().encode() + b'",'


class GenerateWriter(OllamaWriter):
    """Writes `/api/generate`."""

    def delta(self, event: Delta) -> bytes:
        thinking = b'"thinking":%b,' % encode_text(event.thinking) if event.thinking else b""
        calls = b',"tool_calls":%b' % encode(tool_calls(event.tool_calls)) if event.tool_calls else b""
        response = encode_text(event.content)
        tail = calls + _logprobs(event) if event.logprobs else calls
        if event.tokens:
            tail += b',"tokens":' + encode(event.tokens)
        return b'%b"response":%b,%b"done":false%b}\n' % (self._begin(), response, thinking, tail)

    def done(self, event: Done) -> bytes:
        return self.reply(WholeReply(event, tool_calls=list(event.tool_calls))) + b"\n"

    def reply(self, reply: WholeReply) -> bytes:
        done = reply.done
        answer = {"response": reply.content} | _present(thinking=reply.thinking)
        context = {} if done.context is None else {"context": done.context}
        calls = _present(tool_calls=tool_calls(reply.tool_calls))
        return encode(
            {"model": self._model, "created_at": utc_time()}
            | answer
            | ending(done)
            | context
            | metrics(done)
            | calls
            | debug_info(done)
            | _present(logprobs=logprob_objects(reply.logprobs), tokens=reply.tokens)
        )


class ChatWriter(OllamaWriter):
    """Writes `/api/chat`."""

    def delta(self, event: Delta) -> bytes:
        extra = b""
        if event.thinking:
            extra = b',"thinking":' + encode_text(event.thinking)
        if event.tool_calls:
            extra += b',"tool_calls":' + encode(tool_calls(event.tool_calls))
        tail = _logprobs(event) if event.logprobs else b""
        message = b'{"role":"assistant","content":%b%b}' % (encode_text(event.content), extra)
        return b'%b"message":%b,"done":false%b}\n' % (self._begin(), message, tail)

    def done(self, event: Done) -> bytes:
        return self.reply(WholeReply(event, tool_calls=list(event.tool_calls))) + b"\n"

    def reply(self, reply: WholeReply) -> bytes:
        done = reply.done
        message = {"role": "assistant", "content": reply.content}
        message |= _present(thinking=reply.thinking, tool_calls=tool_calls(reply.tool_calls))
        head: dict[str, Any] = {"model": self._model, "created_at": utc_time(), "message": message}
        logprobs = _present(logprobs=logprob_objects(reply.logprobs))
        return encode(head | ending(done) | debug_info(done) | logprobs | metrics(done))


def tool_calls(calls: Iterable[ToolCall]) -> list[dict[str, Any]]:
    """Calls in Ollama's form: arguments are an object, with keys sorted below its top level."""
    return [
        _present(id=call.id)
        | {
            "function": {
                "index": call.index,
                "name": call.name,
                "arguments": {name: sorted_maps(value) for name, value in call.arguments.items()},
            }
        }
        for call in calls
    ]


def ending(done: Done) -> dict[str, Any]:
    """The fields `done` and `done_reason`. A rendered prompt is no reply, so nothing is done."""
    return {"done": done.rendered is None} | _present(done_reason=done.reason)


def metrics(done: Done) -> dict[str, Any]:
    """Counts and durations (nanoseconds), without zeros."""
    return _present(
        total_duration=done.total_ns,
        load_duration=done.load_ns,
        prompt_eval_count=done.prompt_eval_count,
        prompt_eval_duration=done.prompt_eval_ns,
        eval_count=done.eval_count,
        eval_duration=done.eval_ns,
    )


def _logprobs(event: Delta) -> bytes:
    """The last field of a chunk with log-probabilities."""
    return b',"logprobs":' + encode(logprob_objects(event.logprobs))


def _present(**fields: Any) -> dict[str, Any]:
    """The fields that are not empty."""
    return {name: value for name, value in fields.items() if value}
