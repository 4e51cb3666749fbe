"""The filters after preselection, for all rows of a step at once.

Logits are the candidates' matrix (rows, candidates), best first and padded with -inf, so each filter is a few numpy
calls whatever the number of rows.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workers.engine.sampling.candidates import DROPPED
from workers.engine.sampling.params import SamplingParams

Logits = NDArray[np.float32]
Column = NDArray[np.float64]

COMPOSITIONS_KEPT = 16
"""Batches whose parameters are kept as vectors: from one step to the next it is nearly always the same one."""


@dataclass(frozen=True, slots=True)
class ChainParams:
    """One column vector (rows, 1) for each parameter; None where no row uses the filter."""

    temperature: Column
    top_k: Column
    top_p: Column | None
    min_p: Column | None
    typical_p: Column | None

    @classmethod
    @lru_cache(COMPOSITIONS_KEPT)
    def of(cls, params: tuple[SamplingParams, ...]) -> "ChainParams":
        return cls(
            temperature=_column([p.temperature for p in params]),
            top_k=_column([p.top_k if p.top_k > 0 else np.inf for p in params]),
            top_p=_column([p.top_p for p in params]) if any(p.top_p < 1 for p in params) else None,
            min_p=_column([min(max(p.min_p, 0), 1) for p in params]) if any(p.min_p > 0 for p in params) else None,
            typical_p=_column([p.typical_p for p in params]) if any(p.typical_p < 1 for p in params) else None,
        )


def probabilities(logits: Logits, params: ChainParams) -> NDArray[np.float64]:
    """The distribution that a token is drawn from: top-k, typical, top-p, min-p, temperature and softmax, in order."""
    logits = _top_k(logits, params.top_k)
    if params.typical_p is not None:
        logits = _typical(logits, params.typical_p)
    if params.top_p is not None:
        logits = _top_p(logits, params.top_p)
    if params.min_p is not None:
        logits = _min_p(logits, params.min_p)
    return _softmax(logits / params.temperature)


def draw(distribution: NDArray[np.float64], uniforms: Column) -> NDArray[np.int64]:
    """The candidate that each row's number in [0, 1) falls on. Shapes (rows, candidates), (rows, 1) -> (rows,)."""
    cumulative = np.cumsum(distribution, axis=1)
    total = cumulative[:, -1:]
    target = np.minimum(uniforms * total, np.nextafter(total, 0))  # the product may round up to the total
    return (cumulative <= target).sum(axis=1)


def _top_k(logits: Logits, k: Column) -> Logits:
    if (k >= logits.shape[1]).all():
        return logits
    ranks = np.arange(logits.shape[1], dtype=np.int64)
    return np.where(ranks < k, logits, DROPPED)


def _top_p(logits: Logits, p: Column) -> Logits:
    """Keeps the best until their mass reaches p, the one that reaches it included."""
    mass = _softmax(logits)
    before = np.cumsum(mass, axis=1) - mass
    keep = (before < p) | (p >= 1)
    keep[:, 0] = True
    return np.where(keep, logits, DROPPED)


def _min_p(logits: Logits, p: Column) -> Logits:
    """Keeps what has at least p times the probability of the best."""
    with np.errstate(divide="ignore"):
        floor = logits.max(axis=1, keepdims=True) + np.log(p)
    return np.where(logits >= floor, logits, DROPPED)


def _typical(logits: Logits, p: Column) -> Logits:
    """Keeps the tokens whose surprise is nearest to the entropy until their mass exceeds p."""
    mass = _softmax(logits)
    surprise = np.full_like(mass, np.inf)
    np.negative(np.log(mass, where=mass > 0, out=surprise), where=mass > 0, out=surprise)
    entropy = np.multiply(mass, surprise, where=mass > 0, out=np.zeros_like(mass)).sum(axis=1, keepdims=True)
    order = np.argsort(np.abs(surprise - entropy), axis=1, kind="stable")
    ordered = np.take_along_axis(mass, order, axis=1)
    kept = (np.cumsum(ordered, axis=1) - ordered <= p) | (p >= 1)
    kept[:, 0] = True
    keep = np.zeros_like(kept)
    np.put_along_axis(keep, order, kept, axis=1)
    return np.where(keep, logits, DROPPED)


def _softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _column(values: list[float]) -> Column:
    return np.array(values, np.float64).reshape(-1, 1)
