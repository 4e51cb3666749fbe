"""Repetition, presence and frequency penalties on recent tokens."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from workers.engine.sampling.params import SamplingParams

LIMITS = np.finfo(np.float32)


def penalize(logits: NDArray[np.float32], tokens: list[int], params: SamplingParams) -> None:
    """Changes one row of logits in place. `tokens` are the sequence's tokens, prompt included, as in llama.cpp."""
    recent = tokens if params.repeat_last_n < 0 else tokens[-params.repeat_last_n :]
    counts = Counter(recent)
    ids = np.fromiter(counts.keys(), np.int64, len(counts))
    times = np.fromiter(counts.values(), np.float32, len(counts))
    text = ids >= 0  # a negative number stands for a cell of an image or a sound
    ids, times = ids[text], times[text]
    values = logits[ids]
    penalty = np.float32(params.repeat_penalty if params.repeat_penalty > 0 else 1)  # 0 cannot divide
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.where(values <= 0, values * penalty, values / penalty)
        values -= times * np.float32(params.frequency_penalty) + np.float32(params.presence_penalty)
    # a token that the grammar forbids stays forbidden, and an overflow stays finite
    logits[ids] = np.where(np.isneginf(logits[ids]), -np.inf, np.clip(values, LIMITS.min, LIMITS.max))
