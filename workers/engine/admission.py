"""Admission: moves requests from the queue into slots, and takes them out again."""

import time
from collections import deque
from dataclasses import dataclass

from workers.engine.common_prefix import common_prefix
from workers.engine.context import Context
from workers.engine.parking import ParkedState, Parking
from workers.engine.prefix import WORTH_COPYING, choose_start
from workers.engine.preparation import Preparation
from workers.engine.sequence import FinishReason, Sequence
from workers.engine.slots import Slot, Slots

WORTH_PARKING = 64
"""A state is parked if it saves at least so many tokens: a step or two computes fewer."""

MOVING_COST = 8
"""A state is parked if it saves at least this part (one over MOVING_COST) of its tokens. Computing that part takes
longer than a move."""

CHECKPOINT_TAIL = 4
"""Where a memory cannot be cut, a state is kept so many tokens before the prompt's end. The same prompt can start from
it, and so can one with another ending."""

TOO_LONG = "the prompt is longer than the context length"
NO_MEDIA = "this model is missing data required for image input"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a request, and how often states are kept."""

    num_ctx: int  # tokens that a slot holds
    vocabulary_size: int
    checkpoint_interval: int  # prompt tokens between two kept states, where the memory cannot be cut


class Admission:
    """The waiting requests and the slots."""

    def __init__(
        self,
        context: Context,
        slots: Slots,
        parking: Parking,
        preparation: Preparation,
        limits: Limits,
    ) -> None:
        self._memory = context.memory
        self._shares_cells = context.shares_cells
        self._slots = slots
        self._parking = parking
        self._preparation = preparation
        self._limits = limits
        self._worth_copying = WORTH_COPYING if context.shares_cells else max(WORTH_COPYING, limits.num_ctx // 64)
        self._waiting: deque[Sequence] = deque()
        self._pressed = False  # a sequence was preempted, and none has left since
        self.cached_tokens = 0
        self.preemptions = 0

    def __len__(self) -> int:
        """The number of waiting requests."""
        return len(self._waiting)

    def add(self, sequence: Sequence) -> None:
        """Queues a request and begins its preparation."""
        sequence.num_ctx = min(sequence.num_ctx, self._limits.num_ctx)
        self._waiting.append(sequence)
        self._refuse_unfit(sequence, [*sequence.prompt, *(t for segment in sequence.media for t in segment.tokens)])
        if sequence.finish is None:
            self._preparation.begin(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Forgets an ended request."""
        self._preparation.forget(sequence)
        if sequence in self._waiting:
            self._waiting.remove(sequence)

    def admit(self) -> None:
        """Releases ended sequences, gives free slots to waiting ones, and closes old gaps."""
        self._release_ended()
        for sequence in list(self._waiting):
            if self._slots.full or (self._pressed and len(self._slots)):
                break
            if self._is_ready(sequence):
                self._waiting.remove(sequence)
                self._begin(sequence)
        while (gap := self._slots.old_gap()) is not None:
            self._park(gap)
            source, moved = self._slots.move_highest(gap), gap.sequence
            if not self._memory.copy(source, gap.id) and moved is not None:
                moved.computed = 0

    def make_room(self) -> bool:
        """Frees cells when they have run out. Idle cells go first; else the youngest sequence waits again.

        Returns False when a single sequence has all cells.
        """
        if self._release_ended() or self._free_idle():
            return True
        if len(self._slots) < 2:
            return False
        self._preempt(max(self._slots, key=lambda sequence: sequence.timings.prefill_began))
        return True

    def checkpoint(self, sequence: Sequence) -> None:
        """Keeps the state of a sequence that has reached one of its checkpoints."""
        if sequence.computed in sequence.checkpoints:
            self._keep_state(sequence.slot, sequence.tokens[: sequence.computed], sequence.adapters)

    # ---- before it begins ----

    def _is_ready(self, sequence: Sequence) -> bool:
        """Whether a waiting sequence can begin."""
        if sequence.finish is not None or not self._preparation.is_done(sequence):
            return False
        if sequence.media and len(sequence.prompt) > sequence.num_ctx:
            sequence.end(FinishReason.ERROR, TOO_LONG, invalid=True)
        return sequence.finish is None

    def _refuse_unfit(self, sequence: Sequence, text: list[int]) -> None:
        """Ends a request that cannot run or has nothing to generate. `text` is every token that the client sent."""
        if not sequence.prompt:
            sequence.end(FinishReason.ERROR, "the prompt is empty", invalid=True)
        elif len(text) > sequence.num_ctx:
            sequence.end(FinishReason.ERROR, TOO_LONG, invalid=True)
        elif min(text) < 0 or max(text) >= self._limits.vocabulary_size:
            sequence.end(FinishReason.ERROR, "the prompt has a token that is not in the vocabulary", invalid=True)
        elif sequence.media and not self._preparation.takes_media:
            sequence.end(FinishReason.ERROR, NO_MEDIA, invalid=True)
        elif 0 <= sequence.num_predict <= sequence.resumed and sequence.resumed:
            sequence.end(FinishReason.LENGTH)

    # ---- where it begins ----

    def _begin(self, sequence: Sequence) -> None:
        """Gives a sequence a slot that holds as much of its prompt as was computed before."""
        start = choose_start(self._slots, self._parking, sequence, self._memory.usable, self._worth_copying)
        stays = start.copy_from < 0 and start.restore is None
        self._park(start.slot, kept=start.cached if stays else 0)
        if start.copy_from >= 0:
            self._memory.copy(start.copy_from, start.slot.id)
        restored = start.restore is None or self._restore(start.slot, start.restore)
        cached = start.cached if restored else 0
        kept = self._memory.keep(start.slot.id, sequence.positions.of(cached))
        self._slots.take(start.slot, sequence)
        sequence.computed = cached if kept else 0
        sequence.checkpoints = self._checkpoints(sequence)
        if not sequence.timings.prefill_began:
            sequence.timings.prefill_began = time.monotonic_ns()
            sequence.cached = sequence.computed
            self.cached_tokens += sequence.cached

    def _checkpoints(self, sequence: Sequence) -> list[int]:
        """The lengths at which to keep states, where the memory cannot be cut: a state serves only its own length."""
        if self._memory.cuttable or not self._parking.enabled:
            return []
        end, interval = len(sequence.tokens) - CHECKPOINT_TAIL, self._limits.checkpoint_interval
        places = [place for place in range(interval, end, interval) if place > sequence.computed] if interval else []
        if end - sequence.computed >= WORTH_PARKING:
            places.append(end)
        return [sequence.positions.cut(place) for place in places]

    def _restore(self, slot: Slot, parked: ParkedState) -> bool:
        """Restores a parked state into a free slot. Returns False, with the slot empty, when that fails."""
        self._parking.touch(parked)
        slot.held = []
        while not self._memory.restore(slot.id, parked.state):
            if not (self._shares_cells and self._free_idle()):
                return False
        return True

    # ---- what leaves ----

    def _release_ended(self) -> bool:
        """Releases ended sequences. Returns whether there were any."""
        ended = [sequence for sequence in self._slots if sequence.finish is not None]
        for sequence in ended:
            slot = self._release(sequence)
            if self._parking.enabled and len(slot.held) >= WORTH_PARKING:
                self._parking.expect(self._memory.state_size(slot.id))
            self._pressed = False
        return bool(ended)

    def _release(self, sequence: Sequence) -> Slot:
        """Takes a sequence out of its slot. The slot keeps the cells that others can use."""
        slot = self._slots.release(sequence)
        if not self._memory.keep(slot.id, sequence.positions.of(len(slot.held))):
            slot.held = []
        return slot

    def _free_idle(self) -> bool:
        """Frees the least recently used idle cells. Returns False when there are none."""
        idle = self._slots.idle()
        if idle:
            self._free(idle[0])
        return bool(idle)

    def _free(self, slot: Slot) -> None:
        self._park(slot)
        slot.held = []
        self._memory.keep(slot.id, 0)

    def _preempt(self, sequence: Sequence) -> None:
        """Moves a running sequence to the head of the queue. It starts again from its parked state."""
        self._free(self._release(sequence))
        sequence.computed, sequence.draft = 0, []
        self._waiting.appendleft(sequence)
        self._pressed = True
        self.preemptions += 1

    def _park(self, slot: Slot, kept: int = 0) -> None:
        """Parks a slot's state before its cells go, if many tokens would be lost. `kept` tokens stay in the slot; other
        slots and parked states may hold more."""
        if not self._parking.enabled or len(slot.held) < WORTH_PARKING:
            return
        usable = self._memory.usable
        elsewhere = [
            usable(common_prefix(other.cached, slot.held), len(other.cached))
            for other in self._slots.all
            if other is not slot and other.adapters == slot.adapters
        ]
        parked = self._parking.find(slot.held, slot.adapters, usable)
        lost = len(slot.held) - max(kept, parked.length, *elsewhere)
        if lost >= max(WORTH_PARKING, len(slot.held) // MOVING_COST):
            self._keep_state(slot.id, slot.held, slot.adapters)

    def _keep_state(self, slot: int, tokens: list[int], adapters: tuple[str, ...]) -> None:
        state = self._memory.save(slot, self._parking.room)
        if state is not None:
            self._parking.park(ParkedState(list(tokens), adapters, state), cuttable=self._memory.cuttable)
