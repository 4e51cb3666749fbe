"""The `input` of an embedding request, which Ollama's and OpenAI's routes share."""

from typing import Any, cast

from gateway.errors import invalid


def input_texts(value: Any) -> tuple[str, ...]:
    """The texts of `input`: one text or a list. None and an empty text alone give none. Raises GatewayError."""
    if value is None or value == "":
        return ()
    texts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise invalid("invalid input type")
    return tuple(texts)
