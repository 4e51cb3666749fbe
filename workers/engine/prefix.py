"""Prefix reuse: a new request starts from the longest computed prefix of its prompt.

A running sequence, an ended one or a parked state may hold it. There are a few dozen slots at most, and a comparison is
fast, so each slot is compared. Parked states may be thousands; they are in a tree (`parking.tree`).
"""

from dataclasses import dataclass

from workers.engine.common_prefix import common_prefix
from workers.engine.parking import ParkedState, Parking, Usable
from workers.engine.parking.tree import BLOCK
from workers.engine.sequence import Sequence
from workers.engine.slots import Slot, Slots

WORTH_STAYING = 16
"""A newcomer takes the slot that holds so many tokens of its prefix, even if that leaves a gap."""

WORTH_COPYING = 64
"""Tokens that the copy of a stream must save. Streams are copied whole, so a 64th of the stream's length counts if that
is more. Shared cells are only marked."""

WORTH_RESTORING = BLOCK
"""Tokens that restoring a parked state must save. The tree overlooks fewer."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a newcomer runs, and which tokens it need not compute."""

    slot: Slot
    cached: int = 0  # tokens of its prompt that are computed
    copy_from: int = -1  # the slot to copy first; -1 = none
    restore: ParkedState | None = None  # the state to restore first


@dataclass(frozen=True, slots=True)
class SlotPrefix:
    """How many tokens of a prompt a slot can contribute."""

    length: int
    slot: Slot


def choose_start(slots: Slots, parking: Parking, sequence: Sequence, usable: Usable, worth_copying: int) -> Start:
    """Finds the start for a sequence. There must be a free slot. A copy must save `worth_copying` tokens.

    The last token is always computed, because its logits give the next one.
    """

    def serves(common: int, held: int) -> int:
        return usable(sequence.positions.cut(min(common, len(sequence.tokens) - 1)), held)

    def reach(slot: Slot) -> int:
        if slot.adapters != sequence.adapters:
            return 0
        return serves(common_prefix(slot.cached, sequence.tokens), len(slot.cached))

    prefixes = [SlotPrefix(reach(slot), slot) for slot in slots.all]
    best = max(prefixes, key=lambda one: (one.length, one.slot.sequence is None, -one.slot.id))
    free = max((one for one in prefixes if one.slot.sequence is None), key=lambda one: (one.length, -one.slot.id))
    if best.length - free.length < worth_copying:
        best = free
    length, parked = parking.find(sequence.tokens, sequence.adapters, serves)
    if parked is not None and length >= best.length + WORTH_RESTORING:
        return Start(slots.best_free(), length, restore=parked)
    if best.slot.sequence is None and best.length >= WORTH_STAYING:
        return Start(best.slot, best.length)
    target = slots.best_free()
    if best.length >= worth_copying:
        return Start(target, best.length, copy_from=best.slot.id)
    return Start(target, next(one.length for one in prefixes if one.slot is target))
