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

WORTH_COPYING = 64
"""Tokens of common prefix for which a stream is copied, or a parked state restored: that moves all of it, whatever the
length."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a newcomer runs, and what it need not compute. `copy_from` is the slot to copy first, -1 = none; `restore`
    the parked state to restore first."""

    slot: Slot
    cached: int = 0
    copy_from: int = -1
    restore: ParkedState | None = None


Usable = Callable[[int, int], int]
"""How many of the tokens in memory serve, of (those in common, all held): `Memory.usable`."""


def choose_start(slots: Slots, parked: Iterable[ParkedState], sequence: Sequence, usable: Usable) -> Start:
    """Finds the start for a sequence. There must be a free slot. The last token is always computed, since its logits
    are what the next one is drawn from."""

    def reach(tokens: list[int], adapters: tuple[str, ...]) -> int:
        if adapters != sequence.adapters:
            return 0
        common = min(common_prefix(tokens, sequence.tokens), len(sequence.tokens) - 1)
        return usable(sequence.positions.cut(common), len(tokens))

    lengths = [(reach(slot.cached, slot.adapters), slot.sequence is None, -slot.id) for slot in slots.all]
    common, is_free, negative_id = max(lengths)  # a free one wins over a running one
    source = slots.all[-negative_id]
    away = max(parked, key=lambda state: reach(state.tokens, state.adapters), default=None)
    if away is not None and (length := reach(away.tokens, away.adapters)) >= common + WORTH_COPYING:
        return Start(slots.best_free(), length, restore=away)
    if is_free and common >= WORTH_STAYING:
        return Start(source, common)
    target = slots.best_free()
    if common >= WORTH_COPYING:
        return Start(target, common, copy_from=source.id)
    return Start(target, reach(target.cached, target.adapters))


def common_prefix(one: list[int], other: list[int]) -> int:
    """Length of the common beginning of two token lists."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low < high:  # one[:low] is common, one[:high + 1] is not
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
