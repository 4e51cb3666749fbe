"""The filters after preselection, for all rows of a step at once.

The candidates are a matrix (rows, candidates), best first and padded with -inf. So each filter makes a few numpy calls,
whatever the number of rows. Few calls matter: after a decode the caches hold nothing of numpy's code.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workers.engine.sampling.candidates import DROPPED
from workers.engine.sampling.params import SamplingParams

Matrix = NDArray[np.float64]
Column = NDArray[np.float64]

COMPOSITIONS_KEPT = 16
"""Batches whose parameters are kept as vectors. Nearly every step has the same batch as the one before."""

LEAST_TOP_P = 1e-9
"""With a top_p of 0 the best candidate stays."""


@dataclass(frozen=True, slots=True)
class ChainParams:
    """One column vector (rows, 1) for each parameter; None = no row uses the filter."""

    temperature: Column
    width: int | None  # the most candidates that a row keeps; None = all
    top_k: Column | None  # set where rows keep different numbers
    top_p: Column | None
    log_min_p: Column | None
    typical_p: Column | None

    @classmethod
    @lru_cache(COMPOSITIONS_KEPT)
    def of(cls, params: tuple[SamplingParams, ...]) -> "ChainParams":
        kept = [p.top_k if p.top_k > 0 else np.inf for p in params]
        widest = max(kept)
        return cls(
            temperature=_column([p.temperature for p in params]),
            width=int(widest) if np.isfinite(widest) else None,
            top_k=_column(kept) if min(kept) < widest else None,
            top_p=_column([_top_p(p) for p in params]) if any(p.top_p < 1 for p in params) else None,
            log_min_p=_column([_log_min_p(p) for p in params]) if any(p.min_p > 0 for p in params) else None,
            typical_p=_column([p.typical_p for p in params]) if any(p.typical_p < 1 for p in params) else None,
        )


def weights(logits: NDArray[np.float32], params: ChainParams) -> Matrix:
    """Returns the weight of each candidate in the draw, after top-k, typical, top-p, min-p, temperature and softmax.

    Each row of `logits` must begin with its best one, which is finite.
    """
    below = np.subtract(logits[:, : params.width], logits[:, :1], dtype=np.float64)
    if params.top_k is not None:
        below[np.arange(below.shape[1]) >= params.top_k] = DROPPED
    if params.typical_p is not None:
        below[~_typical(below, params.typical_p)] = DROPPED
        below -= below.max(axis=1, keepdims=True)
    if params.top_p is not None:
        mass = np.exp(below)
        reached = np.cumsum(mass, axis=1)
        below[reached - mass >= params.top_p * reached[:, -1:]] = DROPPED  # the candidate that reaches top-p stays
    if params.log_min_p is not None:
        below[below < params.log_min_p] = DROPPED
    return np.exp(below / params.temperature)


def draw(weights: Matrix, uniforms: Column) -> NDArray[np.int64]:
    """Returns the candidate that each row's number in [0, 1) selects. Shapes (rows, candidates), (rows, 1) ->
    (rows,)."""
    cumulative = np.cumsum(weights, axis=1)
    # a double below 1 times a normal number never rounds up to that number
    return (cumulative <= uniforms * cumulative[:, -1:]).sum(axis=1)


def _typical(below: Matrix, p: Column) -> NDArray[np.bool_]:
    """Keeps the tokens whose surprise is nearest to the entropy, until their mass exceeds p."""
    mass = np.exp(below)
    mass /= mass.sum(axis=1, keepdims=True)
    surprise = np.full_like(mass, np.inf)
    np.negative(np.log(mass, where=mass > 0, out=surprise), where=mass > 0, out=surprise)
    entropy = np.multiply(mass, surprise, where=mass > 0, out=np.zeros_like(mass)).sum(axis=1, keepdims=True)
    order = np.argsort(np.abs(surprise - entropy), axis=1, kind="stable")
    ordered = np.take_along_axis(mass, order, axis=1)
    kept = (np.cumsum(ordered, axis=1) - ordered <= p) | (p >= 1)
    kept[:, 0] = True
    keep = np.zeros_like(kept)
    np.put_along_axis(keep, order, kept, axis=1)
    return keep


def _top_p(params: SamplingParams) -> float:
    return max(params.top_p, LEAST_TOP_P) if params.top_p < 1 else np.inf


def _log_min_p(params: SamplingParams) -> float:
    return float(np.log(min(params.min_p, 1))) if params.min_p > 0 else -np.inf


def _column(values: list[float]) -> Column:
    return np.array(values, np.float64).reshape(-1, 1)
