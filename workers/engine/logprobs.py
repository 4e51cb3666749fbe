"""Log-probabilities of picked tokens and their alternatives.

They come from the model's own distribution: before penalties, grammar and filters, at temperature 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Logprob:
    token: int
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """The picked token, and the most likely tokens, best first."""

    picked: Logprob
    top: tuple[Logprob, ...]


class Distribution:
    """The log-probabilities of one row of logits (vocabulary,). Made before the sampler changes the row in place."""

    def __init__(self, row: NDArray[np.float32]) -> None:
        best = row.max()
        self._logprobs = row - (best + np.log(np.exp(row - best).sum(dtype=np.float64)))

    def of(self, token: int, top: int) -> TokenLogprobs:
        """Returns the log-probabilities of the picked token and of the `top` most likely ones."""
        best = np.argpartition(-self._logprobs, top)[:top] if 0 < top < len(self._logprobs) else np.empty(0, np.int64)
        ordered = best[np.argsort(-self._logprobs[best], kind="stable")]
        return TokenLogprobs(self._logprob(token), tuple(self._logprob(int(id)) for id in ordered))

    def _logprob(self, token: int) -> Logprob:
        return Logprob(token, float(self._logprobs[token]))
