"""The engine loop: plan a step, compute it, pick tokens. Meanwhile the last step's tokens are handed out."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from workers.engine.adapters import Adapters
from workers.engine.admission import Admission, Limits
from workers.engine.batch import Batch
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
from workers.engine.plan import Plan, plan_decodes, plan_prompts
from workers.engine.preparation import Preparation
from workers.engine.sequence import FinishReason, Sequence, SequenceKey
from workers.engine.slots import Slots
from workers.engine.turns import Turns

CONTEXT_RESERVE = 4
"""Tokens of room that a context shift leaves beyond the kept ones, as llama-server does."""

Meanwhile: TypeAlias = Callable[[list[Piece]], None]
"""Gets the last step's pieces, in the companion's thread while the next step computes. It may add and cancel."""

ABORTED = 2
NO_CELLS = 1
"""Results of a decode: somebody aborted it, or it found no room in the KV cache."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to serve."""

    slots: int
    num_ctx: int  # tokens of one sequence at most
    prefill_chunk: int  # prompt tokens of a step between running decodes, at most
    max_gap: float = 3.0  # plain decode steps that such a step may last
    draft_tokens: int = 0  # for one sequence and step at most; a request may say otherwise
    draft_rows: int = 0  # for all sequences of a step together
    checkpoint_interval: int = 1024  # prompt tokens between two kept states, where the memory cannot be cut
    adapters_kept: int = 16  # LoRA adapters that may stay loaded without a request


class Engine:
    """Runs any number of sequences over one context. Not thread-safe: one thread calls it, beside `meanwhile`."""

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
        self._companion = Companion()
        self._batch = Batch(context.batch_tokens)
        self._slots = Slots(options.slots, consecutive=not context.shares_cells)
        self._parking = parking if parking is not None else Parking(0)  # an empty Parking is false
        limits = Limits(options.num_ctx, model.vocabulary.size, options.checkpoint_interval)
        self._adapters = Adapters(model, context.pointer, options.adapters_kept)
        preparation = Preparation(Grammars(model.vocabulary), media, self._adapters)
        self._admission = Admission(context, self._slots, self._parking, preparation, limits)
        drafts = options.draft_tokens, options.draft_rows, self._memory.rollback
        self._speculation = Speculation(*drafts, draft)
        self._picker = Picker(context, model.vocabulary, self._speculation, self._companion)
        self._turns = Turns()
        self._alive: dict[SequenceKey, Sequence] = {}  # all whose last piece is not handed out yet
        self._computing: list[Sequence] = []  # in the running decode
        self._picked: list[PickedTokens] = []  # not handed out yet
        self._prompts_computed = False  # by the step before
        self._meanwhile: Meanwhile  # set by `bind`
        self._prefill_tokens = self._decode_tokens = self._decode_steps = 0  # since the start
        self.pace = Pace(options.max_gap, options.prefill_chunk)

    # ---- what the worker calls ----

    @property
    def busy(self) -> bool:
        """Whether a step has anything to do: for a request, or to release an ended one."""
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
        """The sequences whose last piece is not handed out yet."""
        return list(self._alive)

    def add(self, sequence: Sequence) -> None:
        """Queues a request. One that cannot run ends with an error at the next step."""
        self._alive[sequence.key] = sequence
        self._admission.add(sequence)

    def cancel(self, key: SequenceKey) -> None:
        """Ends a sequence at the next step. Aborts the running decode if no other sequence is in it."""
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
        """Computes the next token of every stream, and more where drafts are right."""
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
        """Computes chunks of prompts, or a piece of an image or sound. Running streams limit the time that it takes."""
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
        """Decodes a batch and picks its tokens. Returns the decode's nanoseconds, 0 = it failed."""
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
        """Puts at most `room` cells of an image or sound into the KV cache. Cells that attend to each other go
        together."""
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
        """Runs a decode. The companion meanwhile hands out the last step's tokens and computes this step's masks.

        Returns the nanoseconds that it took, 0 = it failed.
        """

        def work() -> None:
            self._meanwhile(self._collect())
            self._abort_unwanted()
            for sequence in sequences:
                if sequence.constraint is not None:
                    sequence.constraint.compute_masks(sequence.draft)
                elif not sequence.decoding and self._speculation.limit(sequence):
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
        """Returns the sequences of the next step in ascending slots. They have the same adapters."""
        alive = [sequence for sequence in self._slots if sequence.finish is None]
        if not alive:
            return []
        adapters = self._turns.next([sequence.adapters for sequence in alive], stay=self._adapters.loading)
        group = [sequence for sequence in alive if sequence.adapters == adapters]
        self._adapters.apply(adapters)
        return group

    def _shift_if_full(self, sequence: Sequence) -> None:
        """Shifts the full context of a sequence, or ends the sequence."""
        if len(sequence.tokens) <= sequence.num_ctx or not sequence.generated or sequence.finish is not None:
            return
        if not (sequence.shift and self._memory.can_shift and sequence.decoding):
            sequence.end(FinishReason.LENGTH)
            return
        keep = len(sequence.prompt) if sequence.num_keep < 0 else sequence.num_keep + self._vocabulary.adds_bos
        keep = min(keep, sequence.num_ctx - CONTEXT_RESERVE)
        discard = max((sequence.computed - keep) // 2, 1)
        self._memory.shift(sequence.slot, keep, keep + discard)
        sequence.discard(keep, keep + discard)

    # ---- when a decode fails ----

    def _abort_unwanted(self) -> None:
        """Aborts the running decode when all of its sequences have ended."""
        if self._computing and all(sequence.finish is not None for sequence in self._computing):
            self._context.abort()

    def _recover(self, sequences: list[Sequence], result: int) -> None:
        """Makes room if the cells ran out. Otherwise the sequences of the step fail, and the worker serves on."""
        if result == ABORTED:  # all have ended
            return
        drafting = [sequence for sequence in sequences if sequence.draft]
        for sequence in drafting:
            self._speculation.verified(sequence, 0)  # the sequence rests, so the next step has fewer rows
        if result == NO_CELLS and (drafting or self._admission.make_room()):
            return
        for sequence in sequences:
            if result != NO_CELLS:
                sequence.computed = 0  # its cells are in an unknown state
                sequence.end(FinishReason.ERROR, f"llama_decode failed with code {result}")
            elif sequence.generated:
                sequence.end(FinishReason.LENGTH)
            else:
                sequence.end(FinishReason.ERROR, "the prompt needs more cells than the KV cache has", invalid=True)

    # ---- handing out ----

    def _collect(self) -> list[Piece]:
        """Makes the pieces of the last step, and those of sequences that ended without a token."""
        pieces = [piece_of(picked, self._vocabulary) for picked in self._picked]
        keys = {picked.sequence.key for picked in self._picked}
        for sequence in self._alive.values():
            if sequence.finish is not None and sequence.key not in keys:
                pieces.append(Piece(sequence, (), sequence.text.end(), ended=True))
        self._picked.clear()
        for piece in pieces:
            if piece.ended:
                del self._alive[piece.request.key]
                self._admission.remove(piece.request)
        return pieces
