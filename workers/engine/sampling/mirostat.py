"""Mirostat (Basu et al., 2020): keeps the surprise of drawn tokens near a target, by a bound that moves after every
token.

It replaces top-k, typical, top-p and min-p. Both of llama.cpp's versions are here, and follow the temperature.
Penalties apply before it if a request sets them; llama-server leaves them out.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.engine.sampling.candidates import Indices
from workers.engine.sampling.chain import draw
from workers.engine.sampling.params import SamplingParams

ESTIMATED_FROM = 100
"""Likeliest tokens from which version 1 estimates the exponent of Zipf's law, as llama-server does."""

Probabilities = NDArray[np.float64]


@dataclass(slots=True)
class Mirostat:
    """The state of one sequence."""

    params: SamplingParams
    bound: float  # the surprise that its next token may have, in bits

    @classmethod
    def of(cls, params: SamplingParams) -> "Mirostat | None":
        """Returns None for a greedy request, or one without mirostat."""
        return cls(params, 2 * params.mirostat_tau) if params.steers else None

    def pick(self, row: NDArray[np.float32], uniform: float) -> int:
        """Returns the token that a number in [0, 1) draws from one row of finite or -inf logits."""
        ids, mass = self.candidates(row)
        (place,) = draw(mass[None], np.array([[uniform]]))
        self.observe(float(mass[place]))
        return int(ids[place])

    def candidates(self, row: NDArray[np.float32]) -> tuple[Indices, Probabilities]:
        """Returns the tokens that may be drawn, and their probabilities."""
        logits = row.astype(np.float64) / self.params.temperature
        mass = np.exp(logits - logits.max())
        mass /= mass.sum()
        ids = self._below_bound(mass) if self.params.mirostat == 2 else _best(mass, self._count(mass))
        return ids, mass[ids] / mass[ids].sum()

    def observe(self, probability: float) -> None:
        """Moves the bound by the drawn token's probability among the candidates."""
        self.bound -= self.params.mirostat_eta * (-math.log2(probability) - self.params.mirostat_tau)

    def _below_bound(self, mass: Probabilities) -> Indices:
        with np.errstate(divide="ignore"):
            ids = np.flatnonzero(-np.log2(mass) <= self.bound)
        return ids if len(ids) else _best(mass, 1)

    def _count(self, mass: Probabilities) -> int:
        """Version 1: returns how many of the likeliest tokens have the surprise of the bound, if the mass follows
        Zipf's law."""
        best = np.sort(mass[_best(mass, ESTIMATED_FROM)])[::-1]
        best = best[best > 0]
        ranks = np.arange(1, len(best), dtype=np.float64)
        steps = np.log((ranks + 1) / ranks)
        with np.errstate(all="ignore"):  # NaN counts as one token
            exponent = (steps * np.log(best[:-1] / best[1:])).sum() / (steps * steps).sum()
            excess = exponent - 1
            count = (excess * np.exp2(self.bound) / (1 - float(len(mass)) ** -excess)) ** (1 / exponent)
        return int(np.clip(count, 1, len(mass))) if count > 0 else 1


def _best(mass: Probabilities, count: int) -> Indices:
    if count >= len(mass):
        return np.arange(len(mass))
    return np.argpartition(mass, len(mass) - count)[len(mass) - count :]
