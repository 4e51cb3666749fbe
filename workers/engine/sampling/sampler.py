"""Picks one token for every row of a step."""

import numpy as np
from numpy.typing import NDArray

from workers.engine.companion import Companion
from workers.engine.sampling import chain
from workers.engine.sampling.candidates import find_candidates
from workers.engine.sampling.draw import Draw
from workers.engine.sampling.mirostat import Mirostat
from workers.engine.sampling.penalties import penalize
from workers.engine.sampling.randomness import uniform

NO_TOKEN = -1
"""The pick from logits without a finite best: the weights are broken, or the computation overflowed."""

WORTH_SHARING = 1 << 21
"""Logits of a step for which a second thread is worth it: numpy leaves the interpreter free while it reads."""


def sample_shared(logits: NDArray[np.float32], draws: list[Draw], companion: Companion) -> list[int]:
    """Does what `sample` does. With many logits the companion's thread takes half of the rows."""
    if logits.size < WORTH_SHARING or len(draws) < 2:
        return sample(logits, draws)
    half = len(draws) // 2
    others: list[int] = []
    companion.start(lambda: others.extend(sample(logits[half:], draws[half:])))
    try:
        own = sample(logits[:half], draws[:half])
    finally:
        companion.wait()
    return own + others


def sample(logits: NDArray[np.float32], draws: list[Draw]) -> list[int]:
    """Picks a token for each row of `logits` (rows, vocabulary), and changes the rows in place. A row without finite
    logits gives NO_TOKEN."""
    for row, draw in zip(logits, draws, strict=True):
        if draw.params.penalizes:
            penalize(row, draw.recent, draw.params)
    tokens = [0] * len(draws)
    rows: list[int] = []
    for i, draw in enumerate(draws):
        if draw.params.greedy:
            tokens[i] = _best(logits[i])
        elif draw.mirostat is not None:
            tokens[i] = _steered(logits[i], draw, draw.mirostat)
        else:
            rows.append(i)
    if rows:
        winners = _draw(logits[rows] if len(rows) < len(draws) else logits, [draws[i] for i in rows])
        for i, token in zip(rows, winners, strict=True):
            tokens[i] = token
    return tokens


def _best(row: NDArray[np.float32]) -> int:
    token = int(row.argmax())  # argmax returns the first NaN, if there is one
    return token if np.isfinite(row[token]) else NO_TOKEN


def _steered(row: NDArray[np.float32], draw: Draw, mirostat: Mirostat) -> int:
    return mirostat.pick(row, uniform(draw.params.seed, draw.number)) if np.isfinite(row.max()) else NO_TOKEN


def _draw(logits: NDArray[np.float32], draws: list[Draw]) -> list[int]:
    params = [draw.params for draw in draws]
    candidates = find_candidates(logits, params)
    uniforms = [uniform(draw.params.seed, draw.number) for draw in draws]
    usable = np.isfinite(candidates.logits[:, :1])
    weights = chain.weights(np.where(usable, candidates.logits, 0), chain.ChainParams.of(tuple(params)))
    winners = chain.draw(weights, np.array(uniforms).reshape(-1, 1))
    tokens = candidates.ids[np.arange(len(winners)), winners]
    return np.where(usable[:, 0], tokens, NO_TOKEN).tolist()
