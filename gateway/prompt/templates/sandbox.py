"""The template process: renders chat templates (`remuda.sandbox.child`).

A question is a JSON object {"language", "template", "variables"}, an answer {"text"} or {"error"}.
"""

import sys
import traceback
from typing import Any

import orjson

from gateway.prompt.templates.go import render_go
from gateway.prompt.templates.go_data import go_variables
from gateway.prompt.templates.jinja import Arguments, TemplateRenderError, render_jinja
from gateway.prompt.templates.language import Language
from remuda.sandbox.child import serve

OUT_OF_MEMORY = "it used too much memory"


def main() -> None:
    """Usage: python -m gateway.prompt.templates.sandbox BOUNDS... CACHE_SIZE"""
    serve("templates", sys.argv[1:], _answer)


def _answer(question: bytes, cache_size: int) -> bytes:
    return orjson.dumps(_reply(orjson.loads(question), cache_size))


def _reply(question: dict[str, Any], cache_size: int) -> dict[str, str]:
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
