"""A small model that drafts for a large one with the same vocabulary."""

from workers.engine.batch import Plan
from workers.engine.context import Context
from workers.engine.prefix import common_prefix
from workers.engine.rows import Batch
from workers.engine.sequence import Sequence
from workers.engine.vocabulary import Vocabulary

COMPARED = 1000
"""Tokens of two vocabularies that are compared, evenly spread: those of different families differ nearly everywhere."""


def same_vocabulary(one: Vocabulary, other: Vocabulary) -> bool:
    """Whether the ids of two vocabularies stand for the same. One may have a few tokens more at its end."""
    size = min(one.size, other.size)
    return all(one.piece(token) == other.piece(token) for token in range(0, size, max(size // COMPARED, 1)))


class DraftModel:
    """Its own context, with as many sequences as the large model's and under the same ids."""

    def __init__(self, context: Context, capacity: int, vocabulary_size: int) -> None:
        """`vocabulary_size` is the large model's: some models of a family have a few unused tokens more."""
        self._vocabulary_size = vocabulary_size
        self._context = context
        self._batch = Batch(context.batch_tokens)
        self._held: list[list[int]] = [[] for _ in range(capacity)]  # tokens computed under each id

    def draft(self, sequences: list[Sequence], limits: list[int]) -> None:
        """Sets the draft of each sequence, of at most so many tokens. One that is not caught up with yet gets none:
        its tokens are computed first, a batch of them in each step."""
        ready = [(s, limit) for s, limit in zip(sequences, limits, strict=True) if limit > 0]
        if not ready or not self._catch_up([sequence for sequence, _ in ready]):
            return
        for _ in range(max(limit for _, limit in ready)):
            going = [sequence for sequence, limit in ready if len(sequence.draft) < limit]
            if not self._compute([(sequence, [(sequence.draft or sequence.tokens)[-1]]) for sequence in going]):
                return
            best = self._context.logits(len(going))[:, : self._vocabulary_size].argmax(axis=1)
            for sequence, token in zip(going, best.tolist(), strict=True):
                sequence.draft.append(token)

    def follow(self, plan: Plan) -> None:
        """It sees in `draft` what there is to follow."""

    def _catch_up(self, sequences: list[Sequence]) -> bool:
        """Computes what the context lacks of all tokens but the last. False when that takes more than one batch."""
        room, missing = self._context.batch_tokens, list[tuple[Sequence, list[int]]]()
        complete = True
        for sequence in sequences:
            tokens = sequence.tokens[:-1]
            held = self._held[sequence.slot]
            common = common_prefix(held, tokens)
            if not self._context.memory.keep(sequence.slot, common):
                common = 0
            self._held[sequence.slot] = held[:common]
            lacking = tokens[common : common + room]
            complete = complete and common + len(lacking) == len(tokens)
            room -= len(lacking)
            if lacking:
                missing.append((sequence, lacking))
        return (not missing or self._compute(missing)) and complete

    def _compute(self, chunks: list[tuple[Sequence, list[int]]]) -> bool:
        """Computes tokens for each sequence, ascending ids; logits for the last of each."""
        tokens, positions, ids, wants = list[int](), list[int](), list[int](), list[int]()
        for sequence, chunk in chunks:
            held = self._held[sequence.slot]
            tokens += chunk
            positions += range(len(held), len(held) + len(chunk))
            ids += [sequence.slot] * len(chunk)
            wants += [0] * (len(chunk) - 1) + [1]
        self._batch.fill(tokens, positions, ids, wants)
        done = self._context.decode(self._batch) == 0
        for sequence, chunk in chunks:
            if done:
                self._held[sequence.slot] += chunk
            else:  # what its cells hold now is unknown
                self._held[sequence.slot] = []
        return done
