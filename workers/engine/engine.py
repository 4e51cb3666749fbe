"""The engine loop: plan a step, compute it, pick tokens; while it computes, hand out the tokens of the step before."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from workers.engine.batch import Plan, plan_step
from workers.engine.companion import Companion
from workers.engine.context import Context
from workers.engine.grammar import Constraint, GrammarError, Grammars
from workers.engine.logprobs import Distribution, TokenLogprobs
from workers.engine.model import Model
from workers.engine.pace import Pace
from workers.engine.prefix import choose_start
from workers.engine.rows import Batch
from workers.engine.sampling.sampler import NO_TOKEN, sample_shared
from workers.engine.sequence import FinishReason, Sequence, SequenceKey
from workers.engine.slots import Slots

CONTEXT_RESERVE = 4
"""Tokens that a context shift leaves room for beside what it keeps, as llama-server does."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one step gave one sequence. `ended` on the last piece."""

    sequence: Sequence
    tokens: tuple[int, ...]
    text: str
    ended: bool = False
    logprobs: tuple[TokenLogprobs, ...] = ()

    @property
    def request(self) -> Sequence:
        return self.sequence


@dataclass(slots=True)
class Counters:
    """Since the start."""

    prefill_tokens: int = 0
    decode_tokens: int = 0
    decode_steps: int = 0
    cached_tokens: int = 0  # of prompts, not computed because the KV cache held them


class Engine:
    """Runs any number of sequences over one context. Not thread-safe: one thread calls it."""

    def __init__(
        self, model: Model, context: Context, capacity: int, num_ctx: int, prefill_chunk: int, max_gap: float = 3.0
    ) -> None:
        """`num_ctx` are the tokens of one sequence at most. Beside running decodes a step computes at most
        `prefill_chunk` prompt tokens, and takes no longer than `max_gap` plain decode steps."""
        self._vocabulary = model.vocabulary
        self._context = context
        self._companion = Companion()
        self._batch = Batch(context.batch_tokens)
        self._slots = Slots(capacity)
        self._waiting: deque[Sequence] = deque()
        self._grammars = Grammars(model.vocabulary)
        self._compiling: dict[SequenceKey, Future[Constraint]] = {}
        self._alive: dict[SequenceKey, Sequence] = {}  # all whose last piece was not handed out yet
        self._fresh: list[Sequence] = []  # sampled a token that was not handed out yet
        self._num_ctx = num_ctx
        self.pace = Pace(max_gap, prefill_chunk)
        self.counters = Counters()

    # ---- what the worker calls ----

    @property
    def busy(self) -> bool:
        return bool(self._alive)

    @property
    def slots_busy(self) -> int:
        return len(self._slots)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def cells_used(self) -> int:
        """Tokens in the KV cache."""
        return sum(sequence.computed for sequence in self._slots)

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for."""
        return self._vocabulary.piece(token)

    def alive(self) -> list[SequenceKey]:
        """The sequences that have not ended."""
        return list(self._alive)

    def add(self, sequence: Sequence) -> None:
        """Takes a request. One that cannot run ends with an error at the next step."""
        self._alive[sequence.key] = sequence
        self._waiting.append(sequence)
        if not sequence.prompt:
            sequence.end(FinishReason.ERROR, "the prompt is empty")
        elif len(sequence.prompt) > self._num_ctx:
            sequence.end(FinishReason.ERROR, "the prompt is longer than the context length")
        elif min(sequence.prompt) < 0 or max(sequence.prompt) >= self._vocabulary.size:
            sequence.end(FinishReason.ERROR, "the prompt has a token that is not in the vocabulary")
        elif 0 <= sequence.num_predict <= sequence.resumed and sequence.resumed:
            sequence.end(FinishReason.LENGTH)
        elif sequence.grammar:
            self._compiling[sequence.key] = self._grammars.compile(sequence.grammar)

    def cancel(self, key: SequenceKey) -> None:
        """Ends a sequence at the next step."""
        if key in self._alive:
            self._alive[key].end(FinishReason.CANCELLED)

    def step(self, meanwhile: Callable[[list[Piece]], None]) -> bool:
        """One decode. While it computes, `meanwhile` gets the pieces of the step before; it may add and cancel.
        False when there was nothing to compute."""
        self._admit()
        plan = plan_step(self._slots, self._context.batch_tokens, self._prefill_chunk())
        if not plan.tokens:
            meanwhile(self._collect())
            return False
        plan.write(self._batch)
        constrained = [(row, s.constraint) for row, s in enumerate(plan.sampled) if s.constraint is not None]

        def work() -> None:
            meanwhile(self._collect())
            for _, constraint in constrained:
                constraint.compute_mask()

        self._companion.start(work)
        began = time.monotonic_ns()
        result = self._context.decode(self._batch)
        elapsed = time.monotonic_ns() - began
        self._companion.wait()
        if result == 0:
            self._count(plan, elapsed)
            self._sample(plan, constrained)
        else:
            self._fail(plan, result)
        return True

    # ---- the parts of a step ----

    def _admit(self) -> None:
        """Lets ended sequences go, gives free slots to waiting ones, keeps the slots dense."""
        for sequence in [sequence for sequence in self._slots if sequence.finish is not None]:
            self._slots.release(sequence)
        for sequence in list(self._waiting):
            if self._slots.full:
                break
            if self._is_ready(sequence):
                self._waiting.remove(sequence)
                self._begin(sequence)
        for source, target in self._slots.close_old_gaps():
            self._context.copy(source, target)
        for sequence in self._slots:
            self._make_room(sequence)

    def _is_ready(self, sequence: Sequence) -> bool:
        """Whether a waiting sequence can begin: one with a grammar waits until that is compiled."""
        if sequence.finish is not None:
            return False
        compiling = self._compiling.get(sequence.key)
        if compiling is None:
            return True
        if not compiling.done():
            return False
        del self._compiling[sequence.key]
        try:
            sequence.constraint = compiling.result()
        except GrammarError as error:
            sequence.end(FinishReason.ERROR, f"the grammar cannot be compiled: {error}")
        return sequence.finish is None

    def _begin(self, sequence: Sequence) -> None:
        """Gives a sequence a slot, with as much of its prompt computed as the KV cache holds."""
        start = choose_start(self._slots, sequence.prompt)
        if start.copy_from >= 0:
            self._context.copy(start.copy_from, start.slot.id)
        kept = self._context.keep(start.slot.id, start.cached)
        self._slots.take(start.slot, sequence)
        sequence.computed = sequence.cached = start.cached if kept else 0
        self.counters.cached_tokens += sequence.cached
        sequence.timings.prefill_began = time.monotonic_ns()

    def _prefill_chunk(self) -> int:
        alive = [sequence for sequence in self._slots if sequence.finish is None]
        decoding = sum(sequence.decoding for sequence in alive)
        return self.pace.chunk(decoding, len(alive) - decoding)

    def _make_room(self, sequence: Sequence) -> None:
        """Shifts the context of a sequence that has filled it, or ends the sequence."""
        if len(sequence.tokens) <= self._num_ctx or not sequence.decoding:
            return
        if not (sequence.shift and self._context.can_shift):
            sequence.end(FinishReason.LENGTH)
            return
        keep = len(sequence.prompt) if sequence.num_keep < 0 else sequence.num_keep + self._vocabulary.adds_bos
        keep = min(keep, self._num_ctx - CONTEXT_RESERVE)
        discard = max((sequence.computed - keep) // 2, 1)
        self._context.shift(sequence.slot, keep, keep + discard)
        sequence.discard(keep, keep + discard)

    def _sample(self, plan: Plan, constrained: list[tuple[int, Constraint]]) -> None:
        plan.advance()
        if not plan.sampled:
            return
        logits = self._context.logits(len(plan.sampled))
        asked = {row: Distribution(logits[row]) for row, s in enumerate(plan.sampled) if s.logprobs is not None}
        for row, constraint in constrained:
            constraint.apply(logits[row])
        tokens = sample_shared(logits, plan.sampled, self._companion)
        for row, distribution in asked.items():
            plan.sampled[row].told = distribution.tell(tokens[row], plan.sampled[row].logprobs or 0)
        for sequence, token in zip(plan.sampled, tokens, strict=True):
            if sequence.finish is not None:  # cancelled, or a stop string was found, while this step computed
                continue
            if token == NO_TOKEN:
                sequence.end(FinishReason.ERROR, "the model computed logits that are not numbers")
                continue
            self._accept(sequence, token)
            self._fresh.append(sequence)

    def _accept(self, sequence: Sequence, token: int) -> None:
        sequence.append(token)
        if token in self._vocabulary.end_of_generation:
            sequence.finish = FinishReason.STOP  # also where the limit was reached by the same token
        elif sequence.constraint is not None:
            try:
                sequence.constraint.accept(token)
            except GrammarError as error:
                sequence.end(FinishReason.ERROR, str(error))
            if sequence.constraint.complete:
                sequence.end(FinishReason.STOP)

    def _fail(self, plan: Plan, result: int) -> None:
        """llama_decode refused the batch: the requests in it fail, the worker serves on."""
        for sequence, _ in plan.chunks:
            sequence.computed = 0  # what its cells hold now is unknown
            sequence.end(FinishReason.ERROR, f"llama_decode failed with code {result}")

    def _collect(self) -> list[Piece]:
        """Text for the tokens of the last step, and the ends of sequences."""
        pieces = [self._piece(sequence) for sequence in self._fresh]
        fresh = {sequence.key for sequence in self._fresh}
        for sequence in self._alive.values():
            if sequence.finish is not None and sequence.key not in fresh:
                pieces.append(Piece(sequence, (), sequence.text.end(), ended=True))
        self._fresh.clear()
        self._forget([piece.sequence for piece in pieces if piece.ended])
        return pieces

    def _piece(self, sequence: Sequence) -> Piece:
        token, text = sequence.tokens[-1], sequence.text
        said = text.feed(self._vocabulary.piece(token)) if token not in self._vocabulary.end_of_generation else ""
        if text.stopped:
            sequence.finish = FinishReason.STOP  # also where the limit was reached by the same token
        ended = sequence.finish is not None
        told = () if sequence.told is None else (sequence.told,)
        return Piece(sequence, (token,), said + text.end() if ended else said, ended, told)

    def _forget(self, ended: list[Sequence]) -> None:
        for sequence in ended:
            del self._alive[sequence.key]
            self._compiling.pop(sequence.key, None)
            if sequence in self._waiting:
                self._waiting.remove(sequence)

    def _count(self, plan: Plan, elapsed_ns: int) -> None:
        decoded = sum(sequence.decoding for sequence in plan.sampled)
        prefilled = len(plan.tokens) - decoded
        self.counters.decode_tokens += decoded
        self.counters.prefill_tokens += prefilled
        self.counters.decode_steps += 1
        self.pace.observe(elapsed_ns, decoded=decoded, prefilled=prefilled)
