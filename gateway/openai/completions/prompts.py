"""The forms that `prompt` of `/v1/completions` may have. Ollama takes a text alone; OpenAI a list of prompts, too, and
token ids for any of them."""

from typing import Any, cast

PromptInput = str | tuple[int, ...]
"""A text, which the model's chat template is put around as in Ollama; or token ids, which run as they are."""

WRONG = "prompt must be a string, a list of token ids, or a list of such prompts"


def read_prompts(value: Any) -> tuple[PromptInput, ...]:
    """The prompts, one for each choice of the reply. Raises ValueError for any other form, and for an empty list."""
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
