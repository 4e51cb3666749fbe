"""Which rows the next decode computes: one for every decoding sequence, and prompt chunks in the room beside them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from workers.engine.rows import Batch
from workers.engine.sequence import Sequence


@dataclass(slots=True)
class Plan:
    """The rows of one decode, in ascending order of the slots. `sampled` want a token from this decode's logits,
    in the logits' order; `chunks` says how many tokens of each sequence become computed."""

    tokens: list[int] = field(default_factory=list[int])
    positions: list[int] = field(default_factory=list[int])
    sequences: list[int] = field(default_factory=list[int])
    wants_logits: list[int] = field(default_factory=list[int])
    sampled: list[Sequence] = field(default_factory=list[Sequence])
    chunks: list[tuple[Sequence, int]] = field(default_factory=list[tuple[Sequence, int]])

    def add(self, sequence: Sequence, count: int) -> None:
        """Adds the next `count` pending tokens of a sequence."""
        start = sequence.computed
        self.tokens += sequence.tokens[start : start + count]
        self.positions += range(start, start + count)
        self.sequences += [sequence.slot] * count
        self.wants_logits += [0] * count
        self.chunks.append((sequence, count))
        if count == sequence.pending:
            self.wants_logits[-1] = 1
            self.sampled.append(sequence)

    def write(self, batch: Batch) -> None:
        batch.fill(self.tokens, self.positions, self.sequences, self.wants_logits)

    def advance(self) -> None:
        """Counts the rows as computed."""
        for sequence, count in self.chunks:
            sequence.computed += count


def plan_step(sequences: Iterable[Sequence], batch_tokens: int, prefill_chunk: int) -> Plan:
    """Plans one decode over `sequences` (ascending slots) of at most `batch_tokens` rows.

    Every decoding sequence gets its row. Prompts get what is left, `prefill_chunk` tokens while anything decodes, so
    that a long prompt does not hold up running streams; who came first is served first, so that the first of many
    need not wait for the last.
    """
    alive = [sequence for sequence in sequences if sequence.finish is None]
    prefilling = [sequence for sequence in alive if not sequence.decoding]
    decoding = len(alive) - len(prefilling)
    room = batch_tokens - decoding
    if decoding:
        room = min(room, prefill_chunk)
    chunk: dict[int, int] = {}
    for sequence in sorted(prefilling, key=lambda sequence: sequence.timings.prefill_began):
        chunk[sequence.slot] = min(sequence.pending, room)
        room -= chunk[sequence.slot]
    plan = Plan()
    for sequence in alive:
        count = chunk.get(sequence.slot, 1)
        if count:
            plan.add(sequence, count)
    return plan
