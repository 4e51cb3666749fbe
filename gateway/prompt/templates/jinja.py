"""Renders Jinja chat templates in jinja2's immutable sandbox, with what Hugging Face's templates expect.

Templates come from model files, which anybody may have written. They run only in the template process (`sandbox`),
whose time and memory are bounded.
"""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

PROBE = "5d1c0e: what a template shows of a message"
"""A content that no template contains by itself."""
FAILURES = (TypeError, ValueError, ArithmeticError, LookupError, RecursionError, AttributeError)
"""What templates raise besides jinja2's own errors."""


class TemplateRenderError(Exception):
    """The template cannot be compiled, or refused or failed to render."""


class Arguments(dict[str, Any]):
    """The arguments of a tool call: an object for some templates, JSON text for those that print or concatenate it."""

    def __str__(self) -> str:
        return to_json(self)

    def __add__(self, other: str) -> str:
        return str(self) + other

    def __radd__(self, other: str) -> str:
        return other + str(self)


def render_jinja(source: str, variables: Mapping[str, Any], cache_size: int) -> str:
    """The template's text. Raises TemplateRenderError."""
    try:
        return _compiler(cache_size)(source).render(variables)
    except TemplateError as error:
        raise TemplateRenderError(str(error)) from None
    except FAILURES as error:
        raise TemplateRenderError(f"{type(error).__name__}: {error}") from None


def to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """The `tojson` filter as Hugging Face defines it: without HTML escapes."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A compiled template. Templates of some vision models show only contents that are lists of parts."""

    template: Template
    wants_parts: bool

    def render(self, variables: Mapping[str, Any]) -> str:
        if not self.wants_parts:
            return self.template.render(variables)
        messages = [message | {"content": _parts(message["content"])} for message in variables["messages"]]
        return self.template.render({**variables, "messages": messages})


def _wants_parts(template: Template) -> bool:
    return PROBE not in _shown(template, PROBE) and PROBE in _shown(template, _parts(PROBE))


def _shown(template: Template, content: Any) -> str:
    try:
        return template.render(messages=[{"role": "user", "content": content}], bos_token="", eos_token="")
    except (TemplateError, *FAILURES):
        return ""


def _parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


@lru_cache(maxsize=1)
def _compiler(cache_size: int) -> Any:
    environment = _environment()

    @lru_cache(maxsize=cache_size)
    def compiled(source: str) -> ChatTemplate:
        template = environment.from_string(source)
        return ChatTemplate(template, _wants_parts(template))

    return compiled


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    cast("dict[str, Any]", environment.filters)["tojson"] = to_json
    cast("dict[str, Any]", environment.globals).update(raise_exception=_raise_exception, strftime_now=_strftime_now)
    return environment


def _raise_exception(message: str) -> None:
    raise TemplateError(str(message))


def _strftime_now(pattern: str) -> str:
    return datetime.datetime.now().astimezone().strftime(pattern)
