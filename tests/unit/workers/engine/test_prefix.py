"""Where a request starts: which of the computed prefixes serves it."""

import numpy as np

from workers.engine.parking import ParkedState, Parking, Usable
from workers.engine.prefix import WORTH_RESTORING, WORTH_STAYING, Start, choose_start
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import Sequence, SequenceKey
from workers.engine.slots import Slots

WORTH_COPYING = 64
LONG = list(range(2 * WORTH_RESTORING))
SHORT = LONG[:WORTH_STAYING]


def sequence_of(tokens: list[int], *adapters: str) -> Sequence:
    return Sequence(SequenceKey(1, 0), "gateway", tokens, SamplingParams(), 10, adapters=adapters)


def parked_of(tokens: list[int], *adapters: str) -> ParkedState:
    return ParkedState(tokens, adapters, np.zeros(1, np.uint8))


def start_of(slots: Slots, parked: list[ParkedState], sequence: Sequence, usable: Usable) -> Start:
    parking = Parking(len(parked))
    for state in parked:
        parking.park(state, cuttable=False)
    return choose_start(slots, parking, sequence, usable, WORTH_COPYING)


def all_of(common: int, held: int) -> int:
    return common


def whole_or_nothing(common: int, held: int) -> int:
    return common if common == held else 0


def slots_of(*held: list[int], running: list[int] | None = None) -> Slots:
    """Slots that hold these tokens; one more with a sequence where it is given."""
    slots = Slots(len(held) + (running is not None))
    for slot, tokens in zip(slots.all, held, strict=False):
        slot.held = tokens
    if running is not None:
        sequence = sequence_of(running)
        sequence.computed = len(running)
        slots.take(slots.all[-1], sequence)
    return slots


def test_the_slot_that_holds_the_beginning_is_taken() -> None:
    slots = slots_of([], SHORT, [])
    assert start_of(slots, [], sequence_of([*SHORT, 999]), all_of) == Start(slots.all[1], len(SHORT))


def test_a_running_sequence_is_copied() -> None:
    slots = slots_of([], running=LONG)
    assert start_of(slots, [], sequence_of([*LONG, 999]), all_of) == Start(slots.all[0], len(LONG), copy_from=1)


def test_a_parked_state_is_restored_where_that_saves_enough() -> None:
    parked = [parked_of([7, 7]), parked_of(LONG)]
    slots = slots_of(LONG[: len(LONG) - WORTH_RESTORING], [])
    start = start_of(slots, parked, sequence_of([*LONG, 999]), all_of)
    assert (start.restore, start.cached) == (parked[1], len(LONG))
    slots = slots_of(LONG[: len(LONG) - WORTH_RESTORING + 1], [])
    assert start_of(slots, parked, sequence_of([*LONG, 999]), all_of).restore is None


def test_a_stream_is_not_copied_for_a_few_tokens_more_than_a_free_slot_holds() -> None:
    for fewer, expected in ((WORTH_COPYING - 1, -1), (WORTH_COPYING, 2)):
        slots = slots_of([], LONG[: len(LONG) - fewer], running=LONG)
        start = start_of(slots, [], sequence_of([*LONG, 999]), all_of)
        assert start.copy_from == expected
        assert start.cached == len(LONG) - (fewer if expected < 0 else 0)


def test_what_other_adapters_have_computed_is_of_no_use() -> None:
    slots = slots_of(LONG, running=LONG)
    slots.all[0].adapters = ("a",)
    for adapters in (("b",), ("a", "b"), ("b", "a")):
        start = start_of(slots, [parked_of(LONG, "a"), parked_of(LONG)], sequence_of([*LONG, 999], *adapters), all_of)
        assert (start.cached, start.copy_from, start.restore) == (0, -1, None)
    assert start_of(slots, [], sequence_of([*LONG, 999], "a"), all_of) == Start(slots.all[0], len(LONG))
    assert start_of(slots, [parked_of(LONG, "b")], sequence_of([*LONG, 999], "b"), all_of).cached == len(LONG)


def test_what_cannot_be_cut_serves_whole_or_not_at_all() -> None:
    slots = slots_of(LONG, [], running=LONG)
    longer, shorter = sequence_of([*LONG, 999]), sequence_of(LONG[:-2])
    assert start_of(slots, [], longer, whole_or_nothing).cached == len(LONG)
    assert start_of(slots, [parked_of(LONG)], shorter, whole_or_nothing).cached == 0
    assert start_of(slots, [parked_of(LONG)], sequence_of(LONG), whole_or_nothing).cached == 0


def test_the_longest_parked_state_that_serves_is_chosen() -> None:
    parked = [parked_of(LONG[:70]), parked_of(LONG[:90]), parked_of(LONG)]
    start = start_of(slots_of([]), parked, sequence_of([*LONG[:95], 999]), whole_or_nothing)
    assert (start.restore, start.cached) == (parked[1], 90)


def test_a_slot_that_nobody_needs_is_taken_where_nothing_is_known() -> None:
    slots = slots_of(LONG, [])
    slots.all[0].used_at = 5
    assert start_of(slots, [], sequence_of([999]), all_of) == Start(slots.all[1])
