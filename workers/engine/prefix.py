"""Prefix reuse: a new request starts from the longest prefix of its prompt that any KV stream of this context holds,
of a sequence that runs or of one that has ended.

A replica has at most a few dozen streams, so looking at each of them (some microseconds) needs no index.
"""

from dataclasses import dataclass

from workers.engine.slots import Slot, Slots

WORTH_STAYING = 16
"""Tokens of common prefix for which a newcomer takes the very slot that holds it, wherever that lies."""

WORTH_COPYING = 64
"""Tokens of common prefix for which a stream is copied: a copy moves the whole stream, whatever its length."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a newcomer runs, and what it need not compute. `copy_from` is the slot to copy first, -1 = none."""

    slot: Slot
    cached: int = 0
    copy_from: int = -1


def choose_start(slots: Slots, prompt: list[int]) -> Start:
    """Finds the start for a prompt. There must be a free slot. The last prompt token is always computed, since its
    logits are what the first token is drawn from."""
    limit = len(prompt) - 1
    source, common = _longest(slots, prompt, limit)
    if source.sequence is None and common >= WORTH_STAYING:
        return Start(source, common)
    target = slots.best_free()
    if common >= WORTH_COPYING:
        return Start(target, common, copy_from=source.id)
    return Start(target, min(common_prefix(target.cached, prompt), limit))


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


def _longest(slots: Slots, prompt: list[int], limit: int) -> tuple[Slot, int]:
    """The slot with the longest common prefix; a free one wins over a running one."""
    lengths = [(min(common_prefix(slot.cached, prompt), limit), slot.sequence is None, -slot.id) for slot in slots.all]
    best = max(lengths)
    return slots.all[-best[2]], best[0]
