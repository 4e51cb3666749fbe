"""From the logits of a step to the tokens that its sequences take."""

import numpy as np
from numpy.typing import NDArray

from workers.engine.batch import Plan
from workers.engine.companion import Companion
from workers.engine.context import Context
from workers.engine.drafting.speculation import Speculation
from workers.engine.grammar import Constraint, GrammarError
from workers.engine.logprobs import Distribution
from workers.engine.pieces import Taken
from workers.engine.sampling.sampler import NO_TOKEN, sample_shared
from workers.engine.sequence import FinishReason, Sequence
from workers.engine.vocabulary import Vocabulary


class Picker:
    """Picks a token for each row that wants one, and takes as many as are good."""

    def __init__(
        self, context: Context, vocabulary: Vocabulary, speculation: Speculation, companion: Companion
    ) -> None:
        self._context = context
        self._vocabulary = vocabulary
        self._speculation = speculation
        self._companion = companion

    def pick(self, plan: Plan) -> list[Taken]:
        """The tokens of all sequences of a step that was computed. Those that end take no more."""
        if not plan.samples:
            return []
        logits = self._context.logits(len(plan.samples))
        asked: dict[int, Distribution] = {}
        for row, (sequence, ahead) in enumerate(plan.samples):
            if sequence.logprobs is not None:
                asked[row] = Distribution(logits[row])
            if sequence.constraint is not None:
                _constrain(logits[row], sequence, sequence.constraint, ahead)
        draws = [sequence.draw(ahead) for sequence, ahead in plan.samples]
        picked = sample_shared(logits, draws, self._companion)
        taken: list[Taken] = []
        for row, (sequence, ahead) in enumerate(plan.samples):
            if ahead == 0 and sequence.finish is None:  # else it ended while this step computed
                tokens = self._verify(sequence, picked[row : row + 1 + len(sequence.draft)])
                known = [(asked[row + i], token) for i, token in enumerate(tokens) if row + i in asked]
                told = tuple(distribution.tell(token, sequence.logprobs or 0) for distribution, token in known)
                taken.append(Taken(sequence, tokens, told))
        return taken

    def _verify(self, sequence: Sequence, picked: list[int]) -> tuple[int, ...]:
        """Takes the tokens that were picked: the first one, and each further one as long as what was picked before it
        is what was drafted. Returns them."""
        draft, good = sequence.draft, 0
        for ahead, token in enumerate(picked):
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
        return tuple(picked[:good])

    def _accept(self, sequence: Sequence, token: int) -> None:
        sequence.append(token)
        if sequence.constraint is not None and (failure := sequence.constraint.failure):
            sequence.end(FinishReason.ERROR, failure, invalid=True)  # else the end of generation is all that is allowed
        elif token in self._vocabulary.end_of_generation:
            sequence.finish = FinishReason.STOP  # also where the limit was reached by the same token
        elif sequence.constraint is not None:
            try:
                sequence.constraint.accept(token)
            except GrammarError as error:
                sequence.end(FinishReason.ERROR, str(error), invalid=True)
            if sequence.constraint.complete:
                sequence.end(FinishReason.STOP)


def _constrain(row: NDArray[np.float32], sequence: Sequence, constraint: Constraint, ahead: int) -> None:
    """Leaves what the grammar allows after the first `ahead` tokens of the draft, and the sequence's own choice only
    where the model begins with it unasked."""
    own = sequence.optional_first_token if ahead == sequence.generated == sequence.resumed == 0 else None
    chosen = own is not None and int(row.argmax()) == own
    constraint.apply(row, ahead)
    if own is not None and not chosen:
        row[own] = -np.inf
