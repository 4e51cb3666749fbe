"""A small model that drafts for a large one with the same vocabulary."""

import time

from workers.engine.batch import Batch
from workers.engine.common_prefix import common_prefix
from workers.engine.context import Context
from workers.engine.pace import smooth
from workers.engine.plan import Plan
from workers.engine.prefix import WORTH_COPYING
from workers.engine.sequence import Sequence
from workers.engine.vocabulary import Vocabulary

COMPARED = 1000
"""Tokens to compare of two vocabularies, evenly spread. Vocabularies of different families differ nearly everywhere."""


def same_vocabulary(one: Vocabulary, other: Vocabulary) -> bool:
    """Whether the ids of two vocabularies stand for the same bytes. One may have a few more tokens at its end."""
    size = min(one.size, other.size)
    return all(one.piece(token) == other.piece(token) for token in range(0, size, max(size // COMPARED, 1)))


class DraftModel:
    """A draft model in its own context. Its sequence ids are those of the large model's context."""

    def __init__(self, context: Context, capacity: int, vocabulary_size: int) -> None:
        """`vocabulary_size` is the large model's. Some models of a family have a few more, unused tokens."""
        self._vocabulary_size = vocabulary_size
        self._context = context
        self._batch = Batch(context.batch_tokens)
        self._held: list[list[int]] = [[] for _ in range(capacity)]  # tokens with cells, by the sequence id
        self.token_cost = 0.0

    def catch_up(self, sequences: list[Sequence], room: int) -> list[Sequence]:
        """Computes missing tokens of all sequences, but never the last token. Short gaps go first: a long prompt holds
        no other up."""
        room = min(room, self._context.batch_tokens)
        missing = {sequence: self._missing(sequence.slot, sequence.tokens[:-1]) for sequence in sequences}
        ready, chunks = set[Sequence](), dict[Sequence, list[int]]()
        for sequence in sorted(sequences, key=lambda sequence: len(missing[sequence])):
            if len(missing[sequence]) <= room:
                ready.add(sequence)
            chunks[sequence] = missing[sequence][:room]
            room -= len(chunks[sequence])
        rows = [(sequence, chunks[sequence]) for sequence in sequences if chunks[sequence]]
        if not rows:
            return sequences
        began = time.monotonic_ns()
        done = self._compute(rows)
        self.token_cost = smooth(self.token_cost, (time.monotonic_ns() - began) / sum(len(each) for _, each in rows))
        return [sequence for sequence in sequences if done and sequence in ready]

    def draft(self, sequences: list[Sequence], limits: list[int]) -> None:
        """Sets the draft of each sequence, of at most so many tokens."""
        ready = list(zip(sequences, limits, strict=True))
        for _ in range(max(limit for _, limit in ready)):
            drafting = [sequence for sequence, limit in ready if len(sequence.draft) < limit]
            if not self._compute([(sequence, [(sequence.draft or sequence.tokens)[-1]]) for sequence in drafting]):
                return
            best = self._context.logits(len(drafting))[:, : self._vocabulary_size].argmax(axis=1)
            for sequence, token in zip(drafting, best.tolist(), strict=True):
                sequence.draft.append(token)

    def follow(self, plan: Plan) -> None:
        """Does nothing: `catch_up` finds the new tokens."""

    def _missing(self, slot: int, tokens: list[int]) -> list[int]:
        """Cuts the slot to its common prefix with these tokens. Another slot is copied if that saves many tokens.

        Returns the tokens that are not computed.
        """
        common = common_prefix(self._held[slot], tokens)
        if len(tokens) - common >= WORTH_COPYING:
            usable = self._context.memory.usable
            prefixes = [usable(common_prefix(held, tokens), len(held)) for held in self._held]
            source = prefixes.index(max(prefixes))
            if prefixes[source] - common >= WORTH_COPYING and self._context.memory.copy(source, slot):
                common, self._held[slot] = prefixes[source], self._held[source]
        if not self._context.memory.keep(slot, common):
            common = 0
        self._held[slot] = self._held[slot][:common]
        return tokens[common:]

    def _compute(self, chunks: list[tuple[Sequence, list[int]]]) -> bool:
        """Computes the tokens of each sequence, with logits for the last one. The ids ascend."""
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
            self._held[sequence.slot] += chunk
        if not done:  # no room in the KV cache, or cells in an unknown state
            for slot in range(len(self._held)):
                self._context.memory.keep(slot, 0)
                self._held[slot] = []
        return done
