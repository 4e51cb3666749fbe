"""The few tokens of each row that can still win, found without sorting the vocabulary.

The result is exact: the filters would drop every other token. llama.cpp's own chain costs about 290 µs per token at a
vocabulary of 128k. This costs about 30 µs, and most of that reads the logits once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.engine.sampling.params import SamplingParams

Indices = NDArray[np.int64]
DROPPED = np.float32(-np.inf)
LOWEST = np.finfo(np.float32).min

GROUP_SIZE = 32
"""Tokens of a group, about: the vocabulary is dealt into groups. The k-th best group maximum is a threshold that at
least k tokens reach. Hardly more do, because there are many more groups than k. Only groups that reach it are
searched."""

GROUPS_PER_CANDIDATE = 8
"""Groups for each of the k candidates, at least. With fewer groups too many tokens would reach the threshold."""

LEFT_OUT = 1e-6
"""Part of the probability mass that top-p may ignore: the rounding of float32."""

MARGINS = (16.0, 32.0)
"""Distances below the best logit in which to look for the mass that top-p keeps, before the whole row."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Two matrices (rows, width): token ids and their logits, best first. Equal logits come in ascending order of ids.

    Shorter rows are padded with -inf. A row of -inf alone had no finite logit.
    """

    ids: NDArray[np.int64]
    logits: NDArray[np.float32]


def find_candidates(logits: NDArray[np.float32], params: list[SamplingParams]) -> Candidates:
    """Finds the tokens that the filters of each row of `logits` (rows, vocabulary) can keep, and maybe some more."""
    if len(params) == 1:
        return _arrange_one(logits[0], _of_one_row(logits[0], params[0]))
    k = max(p.top_k for p in params)
    if min(p.top_k for p in params) > 0 and k * GROUPS_PER_CANDIDATE < logits.shape[1]:
        return _arrange(len(logits), *_above_kth_maximum(logits, k))
    by_row = [_of_one_row(row, p) for row, p in zip(logits, params, strict=True)]
    rows, ids = np.repeat(np.arange(len(by_row)), [len(ids) for ids in by_row]), np.concatenate(by_row)
    return _arrange(len(logits), rows, ids, logits[rows, ids])


def _above_kth_maximum(logits: NDArray[np.float32], k: int) -> tuple[Indices, Indices, NDArray[np.float32]]:
    """Returns (row, token, logit) of every logit that reaches the k-th best group maximum of its row."""
    size = logits.shape[1]
    columns = _columns(size, k)
    whole = size // columns * columns
    groups, rest = logits[:, :whole].reshape(len(logits), -1, columns), logits[:, whole:]
    maxima = groups.max(axis=1)
    head = maxima[:, : rest.shape[1]]
    np.maximum(head, rest, out=head)
    # a grammar may leave fewer than k tokens: the threshold would be -inf, which every token reaches
    thresholds = np.maximum(np.partition(maxima, columns - k, axis=1)[:, columns - k], LOWEST)
    row, column = _where(maxima >= thresholds[:, None])
    members = groups[row, :, column]
    hit, group = _where(members >= thresholds[row, None])
    rest_row, rest_column = _where(rest >= thresholds[:, None])
    return (
        np.concatenate((row[hit], rest_row)),
        np.concatenate((group * columns + column[hit], whole + rest_column)),
        np.concatenate((members[hit, group], rest[rest_row, rest_column])),
    )


def _columns(size: int, k: int) -> int:
    """The number of groups for so many logits."""
    return max(size // GROUP_SIZE, k * GROUPS_PER_CANDIDATE)


def _where(mask: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """np.nonzero, but several times as fast for a matrix with few true entries."""
    row, column = np.divmod(np.flatnonzero(mask), max(mask.shape[1], 1))
    return row, column


def _of_one_row(row: NDArray[np.float32], params: SamplingParams) -> Indices:
    if 0 < params.top_k * GROUPS_PER_CANDIDATE < len(row):
        columns = _columns(len(row), params.top_k)
        maxima = row[: len(row) // columns * columns].reshape(-1, columns).max(axis=0)
        return np.flatnonzero(row >= max(np.partition(maxima, columns - params.top_k)[columns - params.top_k], LOWEST))
    if 0 < params.top_k < len(row):
        return np.flatnonzero(row >= np.partition(row, len(row) - params.top_k)[len(row) - params.top_k])
    if params.top_k > 0:
        return np.arange(len(row))
    return _with_mass(row, params)


def _with_mass(row: NDArray[np.float32], params: SamplingParams) -> Indices:
    """Finds candidates without top-k: those that hold the mass of top-p, or all that min-p keeps."""
    best = row.max()
    everything = np.arange(len(row))
    if params.typical_p < 1 or not np.isfinite(best):
        return everything
    if params.top_p < 1:
        weights = np.exp(row - best)
        # top-p is a part of the whole mass, so the ignored part must be too small to matter
        needed = max(params.top_p, 1 - LEFT_OUT) * float(weights.sum(dtype=np.float64))
        for margin in MARGINS:
            inside = np.flatnonzero(row >= best - margin)
            if float(weights[inside].sum(dtype=np.float64)) >= needed:
                return inside
    elif params.min_p > 0:
        return np.flatnonzero(row >= best + np.log(params.min_p) - 1e-3)
    return everything


def _arrange_one(row: NDArray[np.float32], ids: NDArray[np.int64]) -> Candidates:
    values = row[ids]
    if not len(ids):
        return Candidates(np.zeros((1, 1), np.int64), np.full((1, 1), DROPPED, np.float32))
    order = np.argsort(-values, kind="stable")  # the ids ascend
    return Candidates(ids[order][None], values[order][None])


def _arrange(count: int, rows: Indices, ids: Indices, values: NDArray[np.float32]) -> Candidates:
    """Sorts the candidates of `count` rows into padded matrices."""
    order = np.lexsort((ids, -values, rows))
    rows, ids, values = rows[order], ids[order], values[order]
    counts = np.bincount(rows, minlength=count)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (count, max(int(counts.max()), 1))
    arranged = Candidates(np.zeros(shape, np.int64), np.full(shape, DROPPED, np.float32))
    arranged.ids[rows, places] = ids
    arranged.logits[rows, places] = values
    return arranged
