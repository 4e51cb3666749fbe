"""What chat and text completions share on the wire: events of a stream, ids, usage, finish reasons, tool calls."""

import random
from collections.abc import Sequence
from typing import Any

import orjson

from gateway.generation.events import Done
from gateway.generation.request import ToolCall
from gateway.golang.json import encode, escape_html

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
FINGERPRINT = "fp_ollama"
END = b"data: [DONE]\n\n"
NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

_MAX_ID = 998


def new_id(prefix: str) -> str:
    """An id as Ollama draws it: `chatcmpl-0` to `chatcmpl-998`."""
    return f"{prefix}-{random.randint(0, _MAX_ID)}"


def sse(value: dict[str, Any]) -> bytes:
    """One event of a stream."""
    return b"data: %b\n\n" % encode(value)


def encode_text(text: str) -> bytes:
    """A JSON string with Go's escapes."""
    return escape_html(orjson.dumps(text))


def usage_of(done: Done) -> dict[str, int]:
    """`usage`, in tokens."""
    prompt, completion = done.prompt_eval_count, done.eval_count
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def total_usage(ends: Sequence[Done]) -> dict[str, int]:
    """`usage` of all choices together."""
    usages = [usage_of(done) for done in ends]
    return {name: sum(usage[name] for usage in usages) for name in NO_USAGE}


def finish_reason(reason: str, *, called: bool) -> str | None:
    """OpenAI's `finish_reason`: only a reply that stopped by itself can have stopped for its calls."""
    if called and reason == "stop":
        return "tool_calls"
    return reason or None


def tool_call_objects(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """`tool_calls`; the arguments are a string of JSON."""
    return [
        {
            "id": call.id,
            "index": call.index,
            "type": "function",
            "function": {"name": call.name, "arguments": encode(dict(call.arguments)).decode()},
        }
        for call in calls
    ]


def debug_info(done: Done) -> dict[str, Any]:
    """`_debug_info`, where the prompt was only rendered."""
    if done.rendered is None:
        return {}
    count = {"image_count": done.rendered_images} if done.rendered_images else {}
    return {"_debug_info": {"rendered_template": done.rendered} | count}
