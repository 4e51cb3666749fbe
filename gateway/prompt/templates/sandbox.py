"""The template process: renders the templates that come on stdin, until stdin closes.

The kernel bounds its memory. The parent bounds its time and kills it. So a hostile template harms nobody.

A message is its length in four bytes (big-endian) and a JSON object. A question is {"language", "template",
"variables"}, an answer {"text"} or {"error"}. An empty message says that the process is ready.
"""

import os
import resource
import struct
import sys
import traceback
from typing import Any, BinaryIO

import orjson
import setproctitle

from gateway.prompt.templates.go import render_go
from gateway.prompt.templates.go_data import go_variables
from gateway.prompt.templates.jinja import Arguments, TemplateRenderError, render_jinja
from gateway.prompt.templates.language import Language
from remuda.process import die_with_parent

HEADER = struct.Struct(">I")
OUT_OF_MEMORY = "it used too much memory"


def main() -> None:
    """Usage: python -m gateway.prompt.templates.sandbox PARENT_PID MEMORY_BYTES CACHE_SIZE"""
    parent, memory, cache_size = map(int, sys.argv[1:])
    die_with_parent(parent)
    _close_inherited()
    setproctitle.setproctitle("remuda templates")
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    _send(answers, b"")
    while (question := _receive(questions)) is not None:
        _send(answers, orjson.dumps(_answer(question, cache_size)))


def _close_inherited() -> None:
    """Closes all files but the standard streams: uvloop passes on duplicates of those, and inheritable files."""
    os.closerange(sys.stderr.fileno() + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _receive(stream: BinaryIO) -> dict[str, Any] | None:
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    return orjson.loads(stream.read(HEADER.unpack(header)[0]))


def _send(stream: BinaryIO, message: bytes) -> None:
    stream.write(HEADER.pack(len(message)) + message)
    stream.flush()


def _answer(question: dict[str, Any], cache_size: int) -> dict[str, str]:
    try:
        return {"text": _render(question, cache_size)}
    except TemplateRenderError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": OUT_OF_MEMORY}
    except Exception:
        traceback.print_exc()
        return {"error": "it could not be rendered"}


def _render(question: dict[str, Any], cache_size: int) -> str:
    template, variables = question["template"], question["variables"]
    if question["language"] == Language.GO:
        return render_go(template, go_variables(variables), cache_size)
    for message in variables.get("messages", ()):
        for call in message.get("tool_calls") or ():
            call["function"]["arguments"] = Arguments(call["function"]["arguments"])
    return render_jinja(template, variables, cache_size)


if __name__ == "__main__":
    main()
