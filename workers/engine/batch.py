"""Which rows the next decode computes: those of all decoding sequences, or chunks of prompts.

Never both: with one KV stream for each sequence llama.cpp would compute one token of every sequence in one pass and the
rest of the chunk in another, and in the first one all would attend as far as the longest of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from workers.engine.rows import Batch
from workers.engine.sequence import Sequence


class Sample(NamedTuple):
    """A row whose logits say what follows the first `ahead` tokens of the sequence's draft."""

    sequence: Sequence
    ahead: int = 0


@dataclass(slots=True)
class Plan:
    """The rows of one decode, in ascending order of the slots. `samples` want a token from this decode's logits, in
    the logits' order; `chunks` says how many tokens of each sequence become computed, drafts not counted."""

    tokens: list[int] = field(default_factory=list[int])
    positions: list[int] = field(default_factory=list[int])
    sequences: list[int] = field(default_factory=list[int])
    wants_logits: list[int] = field(default_factory=list[int])
    samples: list[Sample] = field(default_factory=list[Sample])
    chunks: list[tuple[Sequence, int]] = field(default_factory=list[tuple[Sequence, int]])

    @property
    def chunk_tokens(self) -> int:
        """Tokens that become computed."""
        return sum(count for _, count in self.chunks)

    def add(self, sequence: Sequence, count: int) -> None:
        """Adds the next `count` pending tokens of a sequence, and its draft after the last."""
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
        """Counts the rows as computed, those of drafts not."""
        for sequence, count in self.chunks:
            sequence.computed += count


def plan_decodes(decoding: Iterable[Sequence]) -> Plan:
    """One row for each sequence, and those of its draft. They come in ascending order of their slots."""
    plan = Plan()
    for sequence in decoding:
        plan.add(sequence, 1)
    return plan


def plan_prompts(prefilling: Iterable[Sequence], room: int) -> Plan:
    """At most `room` tokens of prompts. They come in ascending order of their slots; who came first is served first,
    so that the first of many need not wait for the last."""
    plan, chunks = Plan(), dict[Sequence, int]()
    for sequence in sorted(prefilling, key=lambda sequence: sequence.timings.prefill_began):
        chunks[sequence] = min(sequence.step_limit, room)
        room -= chunks[sequence]
    for sequence, chunk in sorted(chunks.items(), key=lambda item: item[0].slot):
        if chunk:
            plan.add(sequence, chunk)
    return plan
