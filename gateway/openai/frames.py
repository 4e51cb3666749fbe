"""The parts that replies of chat and text completions share: events of a stream, ids, usage, finish reasons."""

import random
from collections.abc import Sequence
from typing import Any

from gateway.generation.events import Done
from gateway.golang.json import encode

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
FINGERPRINT = "fp_ollama"
END = b"data: [DONE]\n\n"
NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

_MAX_ID = 998


def new_id(prefix: str) -> str:
    """A random id like Ollama's: `chatcmpl-0` to `chatcmpl-998`."""
    return f"{prefix}-{random.randint(0, _MAX_ID)}"


def sse(value: dict[str, Any]) -> bytes:
    """One event of a stream."""
    return b"data: %b\n\n" % encode(value)


def usage_of(done: Done) -> dict[str, int]:
    """`usage`, in tokens."""
    prompt, completion = done.prompt_eval_count, done.eval_count
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def total_usage(ends: Sequence[Done]) -> dict[str, int]:
    """`usage` of all choices together."""
    usages = [usage_of(done) for done in ends]
    return {name: sum(usage[name] for usage in usages) for name in NO_USAGE}


def finish_reason(reason: str, *, has_calls: bool = False) -> str | None:
    """OpenAI's `finish_reason`. Tool calls are the reason only where the reply ended by itself."""
    if has_calls and reason == "stop":
        return "tool_calls"
    return reason or None
