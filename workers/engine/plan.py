"""The rows of the next decode: one token of every decoding sequence, or chunks of prompts.

Never both. With a KV stream per sequence, llama.cpp would split a mixed batch into passes. In the first pass every
sequence would attend as far as the longest one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from workers.engine.batch import Batch
from workers.engine.sequence import Sequence


class Sample(NamedTuple):
    """A row with logits: they predict the token after the first `ahead` tokens of the sequence's draft."""

    sequence: Sequence
    ahead: int = 0


@dataclass(slots=True)
class Plan:
    """The rows of one decode, in ascending order of the slots."""

    tokens: list[int] = field(default_factory=list[int])
    positions: list[int] = field(default_factory=list[int])
    sequences: list[int] = field(default_factory=list[int])
    wants_logits: list[int] = field(default_factory=list[int])
    samples: list[Sample] = field(default_factory=list[Sample])
    """The rows with logits, in the order of the logits."""
    chunks: list[tuple[Sequence, int]] = field(default_factory=list[tuple[Sequence, int]])
    """How many pending tokens of each sequence the decode computes, without drafts."""

    @property
    def chunk_tokens(self) -> int:
        """Pending tokens of all sequences that the decode computes."""
        return sum(count for _, count in self.chunks)

    def add(self, sequence: Sequence, count: int) -> None:
        """Adds the next `count` pending tokens of a sequence. Its draft follows the last pending token."""
        start, position = sequence.computed, sequence.position
        complete = count == sequence.pending
        draft = sequence.draft if complete else []
        rows = count + len(draft)
        self.tokens += sequence.tokens[start : start + count] + draft
        self.positions += range(position, position + rows)
        self.sequences += [sequence.slot] * rows
        self.wants_logits += [0] * (count - 1) + [int(complete)] + [1] * len(draft)
        self.chunks.append((sequence, count))
        if complete:
            self.samples += [Sample(sequence, ahead) for ahead in range(len(draft) + 1)]

    def write(self, batch: Batch) -> None:
        batch.fill(self.tokens, self.positions, self.sequences, self.wants_logits)

    def advance(self) -> None:
        """Counts the pending tokens as computed. Drafts are counted when they are verified."""
        for sequence, count in self.chunks:
            sequence.computed += count


def plan_decodes(decoding: Iterable[Sequence]) -> Plan:
    """Plans one token and the draft of each sequence. `decoding` comes in ascending order of the slots."""
    plan = Plan()
    for sequence in decoding:
        plan.add(sequence, 1)
    return plan


def plan_prompts(prefilling: Iterable[Sequence], room: int) -> Plan:
    """Plans at most `room` tokens of prompts. The eldest sequence is served first: the first of many need not wait for
    the last. `prefilling` comes in ascending order of the slots."""
    plan, chunks = Plan(), dict[Sequence, int]()
    for sequence in sorted(prefilling, key=lambda sequence: sequence.timings.prefill_began):
        chunks[sequence] = min(sequence.step_limit, room)
        room -= chunks[sequence]
    for sequence, chunk in sorted(chunks.items(), key=lambda item: item[0].slot):
        if chunk:
            plan.add(sequence, chunk)
    return plan
