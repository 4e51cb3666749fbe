"""From the queue into a slot: what has to be ready before a request can run, where it starts, and what has to leave."""

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
"""Tokens that would have to be computed again for which a state is parked: fewer are computed in a step or two."""

MOVING_COST = 8
"""A state is moved in less time than an eighth of its tokens are computed in; less than that is not worth a move."""

CHECKPOINT_TAIL = 4
"""Where a memory cannot be cut, a state is kept this many tokens before the prompt's end, so that the same prompt, and
one that ends otherwise, can start from it."""

TOO_LONG = "the prompt is longer than the context length"
NO_MEDIA = "this model is missing data required for image input"


@dataclass(frozen=True, slots=True)
class Limits:
    """`num_ctx`: tokens of one sequence at most. Where the memory cannot be cut, states are kept every
    `checkpoint_interval` tokens of a prompt."""

    num_ctx: int
    vocabulary_size: int
    checkpoint_interval: int


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
        self._pressed = False  # somebody was preempted, and nobody has left since
        self.cached_tokens = 0
        self.preemptions = 0

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    def add(self, sequence: Sequence) -> None:
        """Queues a request, and begins what can be done before it has a slot."""
        self._waiting.append(sequence)
        self._refuse_unfit(sequence, [*sequence.prompt, *(t for segment in sequence.media for t in segment.tokens)])
        if sequence.finish is None:
            self._preparation.begin(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Forgets a request that has ended."""
        self._preparation.forget(sequence)
        if sequence in self._waiting:
            self._waiting.remove(sequence)

    def admit(self) -> None:
        """Lets ended sequences go, gives free slots to waiting ones, keeps the slots dense."""
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
        """Frees cells when they have run out: those that nobody uses, else those of the youngest sequence, which goes
        on later. False when a single sequence has them all."""
        if self._release_ended() or self._free_idle():
            return True
        if len(self._slots) < 2:
            return False
        self._preempt(max(self._slots, key=lambda sequence: sequence.timings.prefill_began))
        return True

    def checkpoint(self, sequence: Sequence) -> None:
        """Keeps the state of a sequence that has come to one of its checkpoints."""
        if sequence.computed in sequence.checkpoints:
            self._keep_state(sequence.slot, sequence.tokens[: sequence.computed], sequence.adapters)

    # ---- before it begins ----

    def _is_ready(self, sequence: Sequence) -> bool:
        """Whether a waiting sequence can begin."""
        if sequence.finish is not None or not self._preparation.is_done(sequence):
            return False
        if sequence.media and len(sequence.prompt) > self._limits.num_ctx:
            sequence.end(FinishReason.ERROR, TOO_LONG, invalid=True)
        return sequence.finish is None

    def _refuse_unfit(self, sequence: Sequence, text: list[int]) -> None:
        """Ends a request that cannot run, or need not. `text` are all tokens that the client sent."""
        if not sequence.prompt:
            sequence.end(FinishReason.ERROR, "the prompt is empty", invalid=True)
        elif len(text) > self._limits.num_ctx:
            sequence.end(FinishReason.ERROR, TOO_LONG, invalid=True)
        elif min(text) < 0 or max(text) >= self._limits.vocabulary_size:
            sequence.end(FinishReason.ERROR, "the prompt has a token that is not in the vocabulary", invalid=True)
        elif sequence.media and not self._preparation.takes_media:
            sequence.end(FinishReason.ERROR, NO_MEDIA, invalid=True)
        elif 0 <= sequence.num_predict <= sequence.resumed and sequence.resumed:
            sequence.end(FinishReason.LENGTH)

    # ---- where it begins ----

    def _begin(self, sequence: Sequence) -> None:
        """Gives a sequence a slot, with as much of its tokens computed as is known already."""
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
        """Where to keep the states of a sequence whose memory cannot be cut: they serve only where they end."""
        if self._memory.cuttable or not self._parking.enabled:
            return []
        end, interval = len(sequence.tokens) - CHECKPOINT_TAIL, self._limits.checkpoint_interval
        places = [place for place in range(interval, end, interval) if place > sequence.computed] if interval else []
        if end - sequence.computed >= WORTH_PARKING:
            places.append(end)
        return [sequence.positions.cut(place) for place in places]

    def _restore(self, slot: Slot, parked: ParkedState) -> bool:
        """Puts a parked state into a free slot. False, and the slot is empty, where that fails."""
        self._parking.touch(parked)
        slot.held = []
        while not self._memory.restore(slot.id, parked.state):
            if not (self._shares_cells and self._free_idle()):
                return False
        return True

    # ---- what leaves ----

    def _release_ended(self) -> bool:
        """Lets ended sequences go. Whether there were any."""
        ended = [sequence for sequence in self._slots if sequence.finish is not None]
        for sequence in ended:
            slot = self._release(sequence)
            if self._parking.enabled and len(slot.held) >= WORTH_PARKING:
                self._parking.expect(self._memory.state_size(slot.id))
            self._pressed = False
        return bool(ended)

    def _release(self, sequence: Sequence) -> Slot:
        """Takes a sequence out of its slot. Of its cells those are kept that others can use."""
        slot = self._slots.release(sequence)
        if not self._memory.keep(slot.id, sequence.positions.of(len(slot.held))):
            slot.held = []
        return slot

    def _free_idle(self) -> bool:
        """Frees the cells that were used longest ago, of those that nobody uses. False when there are none."""
        idle = self._slots.idle()
        if idle:
            self._free(idle[0])
        return bool(idle)

    def _free(self, slot: Slot) -> None:
        self._park(slot)
        slot.held = []
        self._memory.keep(slot.id, 0)

    def _preempt(self, sequence: Sequence) -> None:
        """Takes a running sequence's cells. It waits before all others, and starts from its parked state."""
        self._free(self._release(sequence))
        sequence.computed, sequence.draft = 0, []
        self._waiting.appendleft(sequence)
        self._pressed = True
        self.preemptions += 1

    def _park(self, slot: Slot, kept: int = 0) -> None:
        """Keeps what a slot holds before it changes hands, where much of it would be lost: `kept` tokens stay, and of
        others some may be known elsewhere."""
        if not self._parking.enabled or len(slot.held) < WORTH_PARKING:
            return
        usable = self._memory.usable
        known = [
            usable(common_prefix(other.cached, slot.held), len(other.cached))
            for other in self._slots.all
            if other is not slot and other.adapters == slot.adapters
        ]
        parked = self._parking.find(slot.held, slot.adapters, usable)
        lost = len(slot.held) - max(kept, parked.length, *known)
        if lost >= max(WORTH_PARKING, len(slot.held) // MOVING_COST):
            self._keep_state(slot.id, slot.held, slot.adapters)

    def _keep_state(self, slot: int, tokens: list[int], adapters: tuple[str, ...]) -> None:
        state = self._memory.save(slot, self._parking.room)
        if state is not None:
            self._parking.park(ParkedState(list(tokens), adapters, state), cuttable=self._memory.cuttable)
