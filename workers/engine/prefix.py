"""Prefix reuse: a new request starts from the longest prefix of its prompt that is computed already: of a sequence that
runs, of one that has ended, or of a parked state.

There are at most a few dozen sequences and some hundred parked states, and two prompts differ early or are compared at
the speed of memory, so looking at each of them (microseconds) needs no index.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from workers.engine.parking import ParkedState
from workers.engine.sequence import Sequence
from workers.engine.slots import Slot, Slots

WORTH_STAYING = 16
"""Tokens of common prefix for which a newcomer takes the very slot that holds it, wherever that lies."""

WORTH_RESTORING = 64
"""Tokens that a parked state has to save to be restored."""

FIRST_PIECE = 64
"""Tokens of two prompts that are compared first."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a newcomer runs, and what it need not compute. `copy_from` is the slot to copy first, -1 = none; `restore`
    the parked state to restore first."""

    slot: Slot
    cached: int = 0
    copy_from: int = -1
    restore: ParkedState | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """How many tokens of a prompt a slot holds that are of use."""

    length: int
    slot: Slot


Usable = Callable[[int, int], int]
"""How many of the tokens in memory serve, of (those in common, all held): `Memory.usable`."""


def choose_start(
    slots: Slots, parked: Iterable[ParkedState], sequence: Sequence, usable: Usable, worth_copying: int
) -> Start:
    """Finds the start for a sequence. There must be a free slot. The last token is always computed, since its logits
    are what the next one is drawn from. A stream is copied where that saves `worth_copying` tokens."""

    def reach(tokens: list[int], adapters: tuple[str, ...]) -> int:
        if adapters != sequence.adapters:
            return 0
        common = min(common_prefix(tokens, sequence.tokens), len(sequence.tokens) - 1)
        return usable(sequence.positions.cut(common), len(tokens))

    found = [Found(reach(slot.cached, slot.adapters), slot) for slot in slots.all]
    best = max(found, key=lambda one: (one.length, one.slot.sequence is None, -one.slot.id))
    free = max((one for one in found if one.slot.sequence is None), key=lambda one: (one.length, -one.slot.id))
    if best.length - free.length < worth_copying:
        best = free
    reached = [(reach(state.tokens, state.adapters), state) for state in parked]
    length, away = max(reached, key=lambda one: one[0], default=(0, None))
    if away is not None and length >= best.length + WORTH_RESTORING:
        return Start(slots.best_free(), length, restore=away)
    if best.slot.sequence is None and best.length >= WORTH_STAYING:
        return Start(best.slot, best.length)
    target = slots.best_free()
    if best.length >= worth_copying:
        return Start(target, best.length, copy_from=best.slot.id)
    return Start(target, next(one.length for one in found if one.slot is target))


def common_prefix(one: list[int], other: list[int]) -> int:
    """Length of the common beginning of two token lists. Most differ early: longer and longer pieces are compared."""
    low, step, end = 0, FIRST_PIECE, min(len(one), len(other))
    while low < end and one[low : low + step] == other[low : low + step]:
        low, step = low + step, 2 * step
    high = min(low + step, end)
    low = min(low, end)
    while low < high:  # one[:low] is common, one[:high + 1] is not, or the end
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
