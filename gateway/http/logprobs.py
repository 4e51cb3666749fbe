"""The JSON of log-probabilities."""

from collections.abc import Iterable
from typing import Any

from gateway.generation.events import Alternative, TokenLogprob


def logprob_objects(logprobs: Iterable[TokenLogprob], *, always_top: bool = False) -> list[dict[str, Any]]:
    """One object for each token. `always_top` lists alternatives even where there are none, as OpenAI does."""
    return [_object(token, token.top, always_top=always_top) for token in logprobs]


def _object(token: Alternative, top: tuple[Alternative, ...] = (), *, always_top: bool = False) -> dict[str, Any]:
    return {
        "token": token.token,
        "logprob": token.logprob,
        **({"bytes": list(token.piece)} if token.piece else {}),
        **({"top_logprobs": [_object(other) for other in top]} if top or always_top else {}),
    }
