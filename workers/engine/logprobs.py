"""Log-probabilities of picked tokens and their alternatives, of the distribution as the model computed it: before
penalties, grammar and filters, at temperature 1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Logprob:
    token: int
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """The picked token, and the best ones, best first."""

    picked: Logprob
    top: tuple[Logprob, ...]


class Distribution:
    """What one row of logits (vocabulary,) said, taken before the sampler changes the row in place."""

    def __init__(self, row: NDArray[np.float32]) -> None:
        best = row.max()
        self._logprobs = row - (best + np.log(np.exp(row - best).sum(dtype=np.float64)))

    def tell(self, token: int, top: int) -> TokenLogprobs:
        """The picked token and the `top` best."""
        best = np.argpartition(-self._logprobs, top)[:top] if 0 < top < len(self._logprobs) else np.empty(0, np.int64)
        ordered = best[np.argsort(-self._logprobs[best], kind="stable")]
        return TokenLogprobs(self._of(token), tuple(self._of(int(one)) for one in ordered))

    def _of(self, token: int) -> Logprob:
        return Logprob(token, float(self._logprobs[token]))
