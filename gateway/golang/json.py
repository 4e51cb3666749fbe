"""JSON as Go's encoder writes it."""

from collections.abc import Mapping
from typing import Any, cast

import orjson


def encode(value: Any) -> bytes:
    """Compact JSON in the value's own key order, with Go's escapes for HTML."""
    return escape_html(orjson.dumps(value))


def encode_text(text: str) -> bytes:
    """A JSON string with Go's escapes."""
    return escape_html(orjson.dumps(text))


def escape_html(text: bytes) -> bytes:
    """Escapes in JSON text what Go's encoder escapes in strings. JSON has these characters nowhere else."""
    if b"<" in text or b">" in text or b"&" in text:
        text = text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    if b"\xe2\x80" in text:
        text = text.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return text


def sorted_maps(value: Any) -> Any:
    """The value with the keys of all its objects sorted, as Go writes its maps."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value)
        return {key: sorted_maps(items[key]) for key in sorted(items)}
    if isinstance(value, list):
        return [sorted_maps(item) for item in cast("list[Any]", value)]
    return value
