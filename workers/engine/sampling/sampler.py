"""One token for every row of a step."""

import numpy as np
from numpy.typing import NDArray

from workers.engine.sampling import chain
from workers.engine.sampling.candidates import candidates
from workers.engine.sampling.penalties import penalize
from workers.engine.sampling.randomness import uniform
from workers.engine.sequence import Sequence


def sample(logits: NDArray[np.float32], sequences: list[Sequence]) -> list[int]:
    """Picks the next token of each sequence from its row of `logits` (rows, vocabulary), which is changed in place."""
    for row, sequence in zip(logits, sequences, strict=True):
        if sequence.sampling.penalizes:
            penalize(row, sequence.tokens, sequence.sampling)
    tokens = [0] * len(sequences)
    drawn: list[int] = []
    for i, sequence in enumerate(sequences):
        if sequence.sampling.greedy:
            tokens[i] = int(logits[i].argmax())
        else:
            drawn.append(i)
    if drawn:
        chosen = _draw(logits[drawn] if len(drawn) < len(sequences) else logits, [sequences[i] for i in drawn])
        for i, token in zip(drawn, chosen, strict=True):
            tokens[i] = token
    return tokens


def _draw(logits: NDArray[np.float32], sequences: list[Sequence]) -> list[int]:
    rows = [candidates(row, sequence.sampling) for row, sequence in zip(logits, sequences, strict=True)]
    params = chain.ChainParams.of([sequence.sampling for sequence in sequences])
    uniforms = [uniform(sequence.sampling.seed, sequence.resumed + sequence.generated) for sequence in sequences]
    distribution = chain.probabilities(chain.stack(rows), params)
    winners = chain.draw(distribution, np.array(uniforms).reshape(-1, 1))
    return [int(row.ids[winner]) for row, winner in zip(rows, winners, strict=True)]
