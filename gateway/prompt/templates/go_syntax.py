"""Reads from a Go template's text which variables it uses, its tags, and its part before the reply."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, cast

from gotpl import TemplateError
from gotpl.parse.nodes import ActionNode, FieldNode, IfNode, ListNode, RangeNode, TextNode, VariableNode
from gotpl.parse.parser import parse_template

from gateway.errors import internal

FUNCTIONS = dict.fromkeys(("json", "currentDate", "yesterdayDate", "toTypeScriptType"), str)
"""Names that parse as functions. Parsing never calls them."""
PARSED = 32
"""Parsed templates of models in the cache. Few, as one of 64 KiB takes megabytes."""


@dataclass(frozen=True, slots=True)
class Tags:
    """The texts around a model's thoughts."""

    opening: str
    closing: str


@dataclass(frozen=True, slots=True)
class GoSyntax:
    """A parsed template."""

    source: str
    root: ListNode

    def uses(self, variable: str) -> bool:
        """Whether the template mentions `.variable` anywhere."""
        return any(variable in _names(node) for node in _walk(self.root))

    def thinking_tags(self) -> Tags | None:
        """The texts around the thoughts of earlier messages; None where the template shows no thoughts."""
        for loop in _message_loops(self.root):
            for block in (n for n in _walk(loop) if isinstance(n, ListNode)):
                if any(isinstance(n, ActionNode) and _mentions(n, "Thinking") for n in block.nodes):
                    return _tags_of(block)
        return None

    def tool_tag(self) -> str:
        """What begins a tool call: the first text below `if .ToolCalls`, up to a brace; `{` where there is none."""
        for branch in (n for n in _walk(self.root) if isinstance(n, IfNode) and _mentions(n.pipeline, "ToolCalls")):
            texts = (n.text.strip() for n in _walk(branch.body) if isinstance(n, TextNode))
            text = next((text for text in texts if text), "")
            return text.partition("{")[0].strip() or "{"
        return "{"

    def before_response(self) -> str:
        """The template cut off where the reply goes, with its open blocks closed."""
        response = _find_response(self.root, 0)
        if response is None:
            return self.source
        start, open_blocks = response
        return self.source[:start] + "{{ end }}" * open_blocks


def parse_go(source: str) -> GoSyntax:
    """Parses a template. Appends the reply where it shows neither messages nor a reply. Raises GatewayError."""
    syntax = _parse(source)
    return syntax if syntax.uses("Messages") or syntax.uses("Response") else _parse(source + "{{ .Response }}")


@lru_cache(maxsize=PARSED)
def syntax_of_model(template: str) -> GoSyntax:
    """`parse_go` for the template of a model, which many requests share. Raises GatewayError."""
    return parse_go(template)


def _parse(source: str) -> GoSyntax:
    try:
        parsed = parse_template(source, name="template", left_delimiter="{{", right_delimiter="}}", functions=FUNCTIONS)
    except (TemplateError, RecursionError) as error:
        raise internal(f"template: {error}") from None
    return GoSyntax(source, parsed.root)


def _walk(node: Any) -> Iterator[Any]:
    yield node
    for child in _children(node):
        yield from _walk(child)


def _children(node: Any) -> Iterator[Any]:
    for field in fields(node):
        value = getattr(node, field.name)
        children = cast("tuple[Any, ...]", value if isinstance(value, tuple) else (value,))
        yield from (child for child in children if is_dataclass(child))


def _message_loops(node: Any) -> Iterator[RangeNode]:
    """The outermost loops over messages, so that no node is below two of them."""
    if isinstance(node, RangeNode) and _mentions(node.pipeline, "Messages"):
        yield node
        return
    for child in _children(node):
        yield from _message_loops(child)


def _names(node: Any) -> tuple[str, ...]:
    return node.fields if isinstance(node, FieldNode | VariableNode) else ()


def _mentions(node: Any, variable: str) -> bool:
    return any(variable in _names(inner) for inner in _walk(node))


def _tags_of(block: ListNode) -> Tags | None:
    texts = [node.text.strip() for node in block.nodes if isinstance(node, TextNode)]
    texts = [text for text in texts if text]
    return Tags(texts[0], texts[-1]) if len(texts) > 1 else None


def _find_response(node: Any, depth: int) -> tuple[int, int] | None:
    """Where the action that prints the reply begins, and the number of blocks open there."""
    if isinstance(node, ActionNode):
        return (node.start, depth) if _mentions(node.pipeline, "Response") else None
    for child in node.nodes if isinstance(node, ListNode) else ():
        if response := _find_response(child, depth):
            return response
    for branch in (getattr(node, "body", None), getattr(node, "else_body", None)):
        if branch is not None and (response := _find_response(branch, depth + 1)):
            return response
    return None
