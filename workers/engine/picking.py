"""Picks the tokens of a step from its logits."""

import numpy as np
from numpy.typing import NDArray

from workers.engine.companion import Companion
from workers.engine.context import Context
from workers.engine.drafting.speculation import Speculation
from workers.engine.grammar import Constraint, GrammarError
from workers.engine.logprobs import Distribution
from workers.engine.pieces import PickedTokens
from workers.engine.plan import Plan
from workers.engine.sampling.sampler import NO_TOKEN, sample_shared
from workers.engine.sequence import FinishReason, Sequence
from workers.engine.vocabulary import Vocabulary


class Picker:
    """Picks a token for each row with logits, and appends the good ones to their sequences."""

    def __init__(
        self, context: Context, vocabulary: Vocabulary, speculation: Speculation, companion: Companion
    ) -> None:
        self._context = context
        self._vocabulary = vocabulary
        self._speculation = speculation
        self._companion = companion

    def pick(self, plan: Plan) -> list[PickedTokens]:
        """Picks the tokens of all sequences of a computed step. A sequence that ends takes no more."""
        if not plan.samples:
            return []
        logits = self._context.logits(len(plan.samples))
        distributions: dict[int, Distribution] = {}
        for row, (sequence, ahead) in enumerate(plan.samples):
            if sequence.logprobs is not None:
                distributions[row] = Distribution(logits[row])
            if sequence.constraint is not None:
                _constrain(logits[row], sequence, sequence.constraint, ahead)
        draws = [sequence.draw(ahead) for sequence, ahead in plan.samples]
        tokens = sample_shared(logits, draws, self._companion)
        picked: list[PickedTokens] = []
        for row, (sequence, ahead) in enumerate(plan.samples):
            if ahead == 0 and sequence.finish is None:  # one that ended during the decode takes nothing
                good = self._verify(sequence, tokens[row : row + 1 + len(sequence.draft)])
                pairs = [(distributions[row + i], token) for i, token in enumerate(good) if row + i in distributions]
                logprobs = tuple(distribution.of(token, sequence.logprobs or 0) for distribution, token in pairs)
                picked.append(PickedTokens(sequence, good, logprobs))
        return picked

    def _verify(self, sequence: Sequence, tokens: list[int]) -> tuple[int, ...]:
        """Appends picked tokens to the sequence, and returns them. The first token is good; each further one is good
        while the draft has the token before it."""
        draft, good = sequence.draft, 0
        for ahead, token in enumerate(tokens):
            if token == NO_TOKEN:
                sequence.end(FinishReason.ERROR, "the model computed logits that are not numbers")
                break
            self._accept(sequence, token)
            good += 1
            if sequence.finish is not None or draft[ahead : ahead + 1] != [token]:
                break
        if draft:
            right = max(good - 1, 0)
            sequence.computed += right
            if not self._context.memory.roll_back(sequence.slot, sequence.position):
                sequence.computed = 0
            self._speculation.verified(sequence, right)
        return tuple(tokens[:good])

    def _accept(self, sequence: Sequence, token: int) -> None:
        sequence.append(token)
        if sequence.constraint is not None and (failure := sequence.constraint.failure):
            sequence.end(FinishReason.ERROR, failure, invalid=True)  # a failed matcher allows the end token alone
        elif token in self._vocabulary.end_of_generation:
            sequence.finish = FinishReason.STOP  # also where the same token reached the limit
        elif sequence.constraint is not None:
            try:
                sequence.constraint.accept(token)
            except GrammarError as error:
                sequence.end(FinishReason.ERROR, str(error), invalid=True)
            if sequence.constraint.complete:
                sequence.end(FinishReason.STOP)


def _constrain(row: NDArray[np.float32], sequence: Sequence, constraint: Constraint, ahead: int) -> None:
    """Rules out the tokens that the grammar forbids after the first `ahead` tokens of the draft. The optional first
    token stays only where the model ranks it first."""
    optional = sequence.optional_first_token if ahead == sequence.generated == sequence.resumed == 0 else None
    ranks_first = optional is not None and int(row.argmax()) == optional
    constraint.apply(row, ahead)
    if optional is not None and not ranks_first:
        row[optional] = -np.inf
