"""The engine loop: plan a step, compute it, pick tokens; while it computes, hand out the tokens of the step before."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from workers.engine.adapters import Adapters
from workers.engine.admission import Admission, Limits
from workers.engine.batch import Plan, plan_decodes, plan_prompts
from workers.engine.companion import Companion
from workers.engine.context import Context
from workers.engine.counters import Counters
from workers.engine.drafting.drafter import Drafter
from workers.engine.drafting.speculation import Speculation
from workers.engine.grammar import Grammars
from workers.engine.media import MediaEncoder, decode_cells
from workers.engine.model import Model
from workers.engine.pace import Pace
from workers.engine.parking import Parking
from workers.engine.picking import Picker
from workers.engine.pieces import PickedTokens, Piece, piece_of
from workers.engine.preparation import Preparation
from workers.engine.rows import Batch
from workers.engine.sequence import FinishReason, Sequence, SequenceKey
from workers.engine.slots import Slots
from workers.engine.turns import Turns

CONTEXT_RESERVE = 4
"""Tokens that a context shift leaves room for beside what it keeps, as llama-server does."""

Meanwhile: TypeAlias = Callable[[list[Piece]], None]
"""Gets the pieces of the step before while a step computes, in the companion's thread. It may add and cancel."""

ABORTED = 2
NO_CELLS = 1
"""Results of a decode that ended before its time, and of one that found no room in the KV cache."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to serve. Beside running decodes a step computes at most `prefill_chunk` prompt tokens, and takes no longer
    than `max_gap` plain decode steps."""

    slots: int
    num_ctx: int  # tokens of one sequence at most
    prefill_chunk: int
    max_gap: float = 3.0
    draft_tokens: int = 0  # for one sequence and step at most, where the request does not say otherwise
    draft_rows: int = 0  # for all sequences of a step together
    checkpoint_interval: int = 1024
    adapters_kept: int = 16  # LoRA adapters, beyond which those that nobody uses are not kept loaded


class Engine:
    """Runs any number of sequences over one context. Not thread-safe: one thread calls it."""

    def __init__(
        self,
        model: Model,
        context: Context,
        options: EngineOptions,
        *,
        parking: Parking | None = None,
        media: MediaEncoder | None = None,
        draft: Drafter | None = None,
    ) -> None:
        self._vocabulary = model.vocabulary
        self._context = context
        self._memory = context.memory
        self._num_ctx = options.num_ctx
        self._companion = Companion()
        self._batch = Batch(context.batch_tokens)
        self._slots = Slots(options.slots, consecutive=not context.shares_cells)
        self._parking = parking if parking is not None else Parking(0)  # one without states is false
        limits = Limits(options.num_ctx, model.vocabulary.size, options.checkpoint_interval)
        self._adapters = Adapters(model, context.pointer, options.adapters_kept)
        preparation = Preparation(Grammars(model.vocabulary), media, self._adapters)
        self._admission = Admission(context, self._slots, self._parking, preparation, limits)
        drafts = options.draft_tokens, options.draft_rows, options.num_ctx, self._memory.rollback
        self._speculation = Speculation(*drafts, draft)
        self._picker = Picker(context, model.vocabulary, self._speculation, self._companion)
        self._turns = Turns()
        self._alive: dict[SequenceKey, Sequence] = {}  # all whose last piece was not handed out yet
        self._computing: list[Sequence] = []  # in the decode that runs
        self._picked: list[PickedTokens] = []  # not handed out yet
        self._prompts_computed = False  # by the step before
        self._meanwhile: Meanwhile  # set by `bind`
        self._prefill_tokens = self._decode_tokens = self._decode_steps = 0  # since the start
        self.pace = Pace(options.max_gap, options.prefill_chunk)

    # ---- what the worker calls ----

    @property
    def busy(self) -> bool:
        """Whether a step has anything to do: for a request, or to let one go that has ended."""
        return bool(self._alive) or any(sequence.finish is not None for sequence in self._slots)

    @property
    def slots_busy(self) -> int:
        return sum(sequence.finish is None for sequence in self._slots)

    @property
    def waiting(self) -> int:
        return len(self._admission)

    @property
    def cells_used(self) -> int:
        """Tokens of running sequences in the KV cache."""
        return sum(sequence.computed for sequence in self._slots if sequence.finish is None)

    @property
    def counters(self) -> Counters:
        return Counters(
            prefill_tokens=self._prefill_tokens,
            decode_tokens=self._decode_tokens,
            decode_steps=self._decode_steps,
            cached_tokens=self._admission.cached_tokens,
            drafted_tokens=self._speculation.drafted,
            accepted_tokens=self._speculation.accepted,
            preemptions=self._admission.preemptions,
            parked_bytes=self._parking.bytes,
            parked_states=len(self._parking),
        )

    def bind(self, meanwhile: Meanwhile) -> None:
        """Sets the callback that gets the pieces. Called before the first step."""
        self._meanwhile = meanwhile

    def alive(self) -> list[SequenceKey]:
        """The sequences that have not ended."""
        return list(self._alive)

    def add(self, sequence: Sequence) -> None:
        """Takes a request. One that cannot run ends with an error at the next step."""
        self._alive[sequence.key] = sequence
        self._admission.add(sequence)

    def cancel(self, key: SequenceKey) -> None:
        """Ends a sequence at the next step; the decode that runs is aborted where nobody else is in it."""
        if key in self._alive:
            self._alive[key].end(FinishReason.CANCELLED)
            self._abort_unwanted()

    def step(self) -> bool:
        """Computes one decode. Returns False when there was nothing to compute."""
        self._admission.admit()
        for sequence in self._slots:
            self._shift_if_full(sequence)
        group = self._next_group()
        decoding = [sequence for sequence in group if sequence.decoding]
        prefilling = [sequence for sequence in group if not sequence.decoding]
        if prefilling and not (decoding and self._prompts_computed):
            self._prompts_computed = True
            self._step_of_prompts(prefilling, beside_streams=bool(decoding))
        elif decoding:
            self._prompts_computed = False
            self._step_of_decodes(decoding)
        else:
            self._meanwhile(self._collect())
            return False
        return True

    # ---- the kinds of step ----

    def _step_of_decodes(self, decoding: list[Sequence]) -> None:
        """The next token of every stream, and more where drafts are right."""
        began = time.monotonic_ns()
        self._speculation.propose(decoding, self._context.batch_tokens - len(decoding), self.pace.affordable)
        plan = plan_decodes(decoding)
        drafted = len(plan.tokens) > len(decoding)
        elapsed = self._decode(plan)
        self._decode_steps += 1
        if elapsed and not drafted:
            self.pace.observe_decode(elapsed, len(decoding))
        if elapsed:
            tokens = sum(len(picked.tokens) for picked in self._picked)
            self._speculation.observe(len(decoding), tokens, time.monotonic_ns() - began)

    def _step_of_prompts(self, prefilling: list[Sequence], *, beside_streams: bool) -> None:
        """Chunks of prompts, or a piece of an image or sound: as long as streams can wait, where there are any."""
        batch_tokens = self._context.batch_tokens
        room = min(batch_tokens, self.pace.chunk(len(prefilling))) if beside_streams else batch_tokens
        eldest = min(prefilling, key=lambda sequence: sequence.timings.prefill_began)
        if eldest.span is not None:
            self._step_of_span(eldest, room)
            return
        plan = plan_prompts([sequence for sequence in prefilling if sequence.span is None], room)
        elapsed = self._decode(plan)
        if elapsed:
            self._prefill_tokens += plan.chunk_tokens
            self.pace.observe_prompts(elapsed, plan.chunk_tokens)
            for sequence, _ in plan.chunks:
                self._admission.checkpoint(sequence)

    def _decode(self, plan: Plan) -> int:
        """Decodes a batch, and picks a token for each row that wants one. The nanoseconds that the decode took, 0 =
        it gave nothing."""
        sequences = [sequence for sequence, _ in plan.chunks]
        plan.write(self._batch)
        elapsed = self._compute(sequences, lambda: self._context.decode(self._batch))
        if not elapsed:
            return 0
        plan.advance()
        self._picked = self._picker.pick(plan)
        self._speculation.follow(plan)
        self._decode_tokens += sum(len(picked.tokens) for picked in self._picked)
        return elapsed

    def _step_of_span(self, sequence: Sequence, room: int) -> None:
        """Puts a piece of an image or sound into the KV cache, of at most `room` cells; all of it, where its cells look
        at each other."""
        span, context = sequence.span, self._context
        assert span is not None
        start = sequence.computed - span.start
        cells = range(start, span.cells if span.chunk.whole else min(start + room, span.cells))

        def decode() -> int:
            place = sequence.position, sequence.slot
            return context.compute(lambda: decode_cells(context.pointer, span, cells, *place))

        elapsed = self._compute([sequence], decode)
        if elapsed:
            sequence.computed += len(cells)
            self._prefill_tokens += len(cells)
            self.pace.observe_prompts(elapsed, len(cells))

    def _compute(self, sequences: list[Sequence], decode: Callable[[], int]) -> int:
        """Decodes; while that runs, the host's work for the step before is done, and masks for this one. The
        nanoseconds that it took, 0 = it gave nothing."""

        def work() -> None:
            self._meanwhile(self._collect())
            self._abort_unwanted()
            for sequence in sequences:
                if sequence.constraint is not None:
                    sequence.constraint.compute_masks(sequence.draft)
                elif not sequence.decoding and self._speculation.asked(sequence):
                    sequence.drafting.lookup.index(sequence.tokens)

        def listen() -> None:
            self._meanwhile([])
            self._abort_unwanted()

        self._computing = sequences
        began = time.monotonic_ns()
        self._companion.start(work, listen)
        result = decode()
        self._companion.wait()
        self._adapters.decoded()
        elapsed = time.monotonic_ns() - began
        self._computing = []
        if result == 0:
            return elapsed
        self._recover(sequences, result)
        return 0

    # ---- the parts of a step ----

    def _next_group(self) -> list[Sequence]:
        """The sequences that the next step can compute together, ascending slots: those with the same adapters."""
        alive = [sequence for sequence in self._slots if sequence.finish is None]
        if not alive:
            return []
        adapters = self._turns.next([sequence.adapters for sequence in alive], stay=self._adapters.loading)
        group = [sequence for sequence in alive if sequence.adapters == adapters]
        self._adapters.apply(adapters)
        return group

    def _shift_if_full(self, sequence: Sequence) -> None:
        """Shifts the context of a sequence that has filled it, or ends the sequence."""
        if len(sequence.tokens) <= self._num_ctx or not sequence.generated or sequence.finish is not None:
            return
        if not (sequence.shift and self._memory.can_shift and sequence.decoding):
            sequence.end(FinishReason.LENGTH)
            return
        keep = len(sequence.prompt) if sequence.num_keep < 0 else sequence.num_keep + self._vocabulary.adds_bos
        keep = min(keep, self._num_ctx - CONTEXT_RESERVE)
        discard = max((sequence.computed - keep) // 2, 1)
        self._memory.shift(sequence.slot, keep, keep + discard)
        sequence.discard(keep, keep + discard)

    # ---- when a decode gives nothing ----

    def _abort_unwanted(self) -> None:
        """Aborts the decode that runs when all that it computes for have ended."""
        if self._computing and all(sequence.finish is not None for sequence in self._computing):
            self._context.abort()

    def _recover(self, sequences: list[Sequence], result: int) -> None:
        """Makes room where that was lacking, else the requests of the step fail; the worker serves on."""
        if result == ABORTED:  # all have ended
            return
        drafting = [sequence for sequence in sequences if sequence.draft]
        for sequence in drafting:
            self._speculation.verified(sequence, 0)  # it rests: the next step has fewer rows
        if result == NO_CELLS and (drafting or self._admission.make_room()):
            return
        for sequence in sequences:
            if result != NO_CELLS:
                sequence.computed = 0  # what its cells hold now is unknown
                sequence.end(FinishReason.ERROR, f"llama_decode failed with code {result}")
            elif sequence.generated:
                sequence.end(FinishReason.LENGTH)
            else:
                sequence.end(FinishReason.ERROR, "the prompt needs more cells than the KV cache has", invalid=True)

    # ---- handing out ----

    def _collect(self) -> list[Piece]:
        """Text for the tokens of the last step, and the ends of sequences."""
        pieces = [piece_of(picked, self._vocabulary) for picked in self._picked]
        fresh = {picked.sequence.key for picked in self._picked}
        for sequence in self._alive.values():
            if sequence.finish is not None and sequence.key not in fresh:
                pieces.append(Piece(sequence, (), sequence.text.end(), ended=True))
        self._picked.clear()
        for piece in pieces:
            if piece.ended:
                del self._alive[piece.request.key]
                self._admission.remove(piece.request)
        return pieces
