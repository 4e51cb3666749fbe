"""Log-probabilities as JSON has them."""

from collections.abc import Iterable
from typing import Any

from gateway.generation.events import Alternative, TokenLogprob


def logprob_objects(logprobs: Iterable[TokenLogprob], *, always_top: bool = False) -> list[dict[str, Any]]:
    """The entries as JSON has them. `always_top`: also where no alternatives were asked for (OpenAI's form)."""
    return [_object(one, one.top, always_top=always_top) for one in logprobs]


def _object(one: Alternative, top: tuple[Alternative, ...] = (), *, always_top: bool = False) -> dict[str, Any]:
    return {
        "token": one.token,
        "logprob": one.logprob,
        **({"bytes": list(one.piece)} if one.piece else {}),
        **({"top_logprobs": [_object(other) for other in top]} if top or always_top else {}),
    }
