"""How many items a JSON schema demands of its lists."""

from typing import Any, cast

MAX_REPETITIONS = 2000
"""llama.cpp's own bound. A worker that must write more equal items computes a step for seconds."""


def most_repetitions(schema: Any) -> float:
    """The largest `minItems` anywhere in a schema, also where the word is only a name."""
    most, left = 0.0, [schema]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            demanded = fields.get("minItems")
            if isinstance(demanded, int | float):
                most = max(most, demanded)
            left += fields.values()
        elif isinstance(value, list):
            left += cast("list[Any]", value)
    return most
