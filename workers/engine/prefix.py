"""Prefix reuse: a new request starts from the longest prefix of its prompt that is computed already: of a sequence that
runs, of one that has ended, or of a parked state.

There are at most a few dozen sequences, and two prompts differ early or are compared at the speed of memory, so each of
them is looked at; of parked states there may be thousands, which are in a tree (`parking.tree`).
"""

from dataclasses import dataclass

from workers.engine.common_prefix import common_prefix
from workers.engine.parking import ParkedState, Parking, Usable
from workers.engine.parking.tree import BLOCK
from workers.engine.sequence import Sequence
from workers.engine.slots import Slot, Slots

WORTH_STAYING = 16
"""Tokens of common prefix for which a newcomer takes the very slot that holds it, wherever that lies."""

WORTH_COPYING = 64
"""Tokens that the copy of a stream has to save, or a 64th of the stream's length if that is more: streams are copied
whole. Where cells are shared they are only marked."""

WORTH_RESTORING = BLOCK
"""Tokens that a parked state has to save to be restored: what the tree overlooks is less."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a newcomer runs, and what it need not compute. `copy_from` is the slot to copy first, -1 = none; `restore`
    the parked state to restore first."""

    slot: Slot
    cached: int = 0
    copy_from: int = -1
    restore: ParkedState | None = None


@dataclass(frozen=True, slots=True)
class SlotPrefix:
    """How many tokens of a prompt a slot holds that are of use."""

    length: int
    slot: Slot


def choose_start(slots: Slots, parking: Parking, sequence: Sequence, usable: Usable, worth_copying: int) -> Start:
    """Finds the start for a sequence. There must be a free slot. The last token is always computed, since its logits
    are what the next one is drawn from. A stream is copied where that saves `worth_copying` tokens."""

    def serves(common: int, held: int) -> int:
        return usable(sequence.positions.cut(min(common, len(sequence.tokens) - 1)), held)

    def reach(slot: Slot) -> int:
        if slot.adapters != sequence.adapters:
            return 0
        return serves(common_prefix(slot.cached, sequence.tokens), len(slot.cached))

    found = [SlotPrefix(reach(slot), slot) for slot in slots.all]
    best = max(found, key=lambda one: (one.length, one.slot.sequence is None, -one.slot.id))
    free = max((one for one in found if one.slot.sequence is None), key=lambda one: (one.length, -one.slot.id))
    if best.length - free.length < worth_copying:
        best = free
    length, away = parking.find(sequence.tokens, sequence.adapters, serves)
    if away is not None and length >= best.length + WORTH_RESTORING:
        return Start(slots.best_free(), length, restore=away)
    if best.slot.sequence is None and best.length >= WORTH_STAYING:
        return Start(best.slot, best.length)
    target = slots.best_free()
    if best.length >= worth_copying:
        return Start(target, best.length, copy_from=best.slot.id)
    return Start(target, next(one.length for one in found if one.slot is target))
