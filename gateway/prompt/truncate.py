"""Shortens prompts to the context: drops whole messages first, then the middle (http-api 5.4 and 14.3)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gateway.errors import invalid
from gateway.generation.request import Message

TOO_LONG = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the "
    "context length in settings, or use a model with a longer context length"
)

Rendered = TypeVar("Rendered")


async def drop_oldest(
    messages: Sequence[Message],
    render: Callable[[Sequence[Message]], Awaitable[Rendered]],
    fits: Callable[[Rendered], bool],
) -> Rendered:
    """The rendering of as many of the latest messages as fit. System messages and the last message always stay.

    Renders O(log n) times for n messages: the search relies on more messages never making a shorter text.
    """

    async def render_from(start: int) -> Rendered:
        kept = [message for message in messages[:start] if message.role == "system"]
        return await render([*kept, *messages[start:]])

    rendered = await render(messages)
    if fits(rendered) or len(messages) < 2:
        return rendered
    low, high = 1, len(messages) - 1
    best = await render_from(high)
    while low < high:
        middle = (low + high) // 2
        candidate = await render_from(middle)
        if fits(candidate):
            best, high = candidate, middle
        else:
            low = middle + 1
    return best


def cut_middle(tokens: list[int], num_ctx: int, num_keep: int, *, has_bos: bool) -> list[int]:
    """The first `num_keep` tokens (negative = as many as fit), and the last ones for half of the remaining context."""
    keep = len(tokens) if num_keep < 0 else num_keep + has_bos
    keep = min(keep, num_ctx - 1)
    rest = num_ctx - max((num_ctx - keep) // 2, 1) - keep
    return tokens[:keep] + tokens[len(tokens) - rest :]


def check_length(tokens: Sequence[int], num_ctx: int) -> None:
    """Raises GatewayError when the prompt leaves no room for a single token."""
    if len(tokens) >= num_ctx:
        raise invalid(TOO_LONG)
