"""The forms of `prompt` in `/v1/completions`: a text as in Ollama; as in OpenAI also token ids, and lists of both."""

from typing import Any, cast

PromptInput = str | tuple[int, ...]
"""A text, which goes through the model's chat template as in Ollama; or token ids, which run as they are."""

WRONG = "prompt must be a string, a list of token ids, or a list of such prompts"


def read_prompts(value: Any) -> tuple[PromptInput, ...]:
    """The prompts, one for each choice of the reply. Raises ValueError for an empty list and for other forms."""
    if not isinstance(value, list):
        return (_read_prompt(value),)
    items = cast("list[Any]", value)
    if items and all(map(_is_token, items)):
        return (tuple(items),)
    if not items:
        raise ValueError(WRONG)
    return tuple(map(_read_prompt, items))


def _read_prompt(value: Any) -> PromptInput:
    if isinstance(value, str):
        return value
    items = cast("list[Any]", value if isinstance(value, list) else [])
    if not items or not all(map(_is_token, items)):
        raise ValueError(WRONG)
    return tuple(items)


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
