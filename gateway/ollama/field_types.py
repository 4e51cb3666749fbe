"""The values of `keep_alive`, `think` and `images` in a body (http-api 9.1 to 9.4)."""

import base64
import binascii
import re
from typing import Any

from gateway.golang.types import type_name
from remuda.durations import FOREVER, NANOSECONDS, parse_duration

THINK_LEVELS = ("high", "medium", "low", "max")
LONGEST_KEEP_ALIVE = 290 * 365 * 24 * NANOSECONDS["h"]
"""290 years in nanoseconds: nearly all that an int64 holds."""

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/\r\n]")


def parse_keep_alive(value: Any) -> int | None:
    """Nanoseconds; negative = for ever, None = not given. Raises ValueError with Ollama's text."""
    match value:
        case None:
            return None
        case bool() | dict() | list():
            raise ValueError(f"Unsupported type: '{type_name(value)}'")
        case int() | float():
            return FOREVER if value < 0 else int(min(value * NANOSECONDS["s"], LONGEST_KEEP_ALIVE))
        case _:
            duration = parse_duration(str(value))
            return FOREVER if duration < 0 else min(duration, LONGEST_KEEP_ALIVE)


def parse_think(value: Any) -> bool | str | None:
    """The `think` value. Raises ValueError with Ollama's text."""
    if value is None or isinstance(value, bool) or value in THINK_LEVELS:
        return value
    choices = '"high", "medium", "low", "max", true, or false'
    if isinstance(value, str):
        raise ValueError(f'invalid think value: "{value}" (must be {choices})')
    raise ValueError(f"think must be a boolean or string ({choices})")


def decode_image(text: str) -> bytes:
    """The file in standard, padded base64. Raises ValueError with Go's text."""
    data = text.encode()
    if mistake := _NOT_BASE64.search(data.rstrip(b"=")):
        raise ValueError(f"illegal base64 data at input byte {mistake.start()}")
    try:
        return base64.b64decode(data)
    except binascii.Error:
        raise ValueError(f"illegal base64 data at input byte {len(data) // 4 * 4}") from None
