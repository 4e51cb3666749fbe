"""Sequence ids: who runs where."""

from hypothesis import given
from hypothesis import strategies as st

from workers.engine.common_prefix import common_prefix
from workers.engine.parking import Parking
from workers.engine.prefix import choose_start
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import Sequence, SequenceKey
from workers.engine.slots import PATIENCE, Slots


def sequence_of(number: int, prompt: list[int] | None = None) -> Sequence:
    return Sequence(SequenceKey(number, 0), "gateway", prompt or [number], SamplingParams(), 10)


def take(slots: Slots, sequence: Sequence) -> Sequence:
    slots.take(slots.best_free(), sequence)
    return sequence


def test_newcomers_take_slots_side_by_side_from_the_lowest() -> None:
    slots = Slots(3)
    assert [take(slots, sequence_of(i)).slot for i in range(3)] == [0, 1, 2]
    assert slots.full


def test_a_newcomer_fills_a_gap() -> None:
    slots = Slots(4)
    running = [take(slots, sequence_of(i)) for i in range(3)]
    slots.release(running[1])
    assert take(slots, sequence_of(9)).slot in (1, 3)


def test_sequences_come_in_the_order_of_their_slots() -> None:
    slots = Slots(4)
    running = [take(slots, sequence_of(i)) for i in range(4)]
    slots.release(running[0])
    take(slots, sequence_of(9))
    assert [sequence.slot for sequence in slots] == [0, 1, 2, 3]


def test_a_gap_is_closed_once_it_has_outstayed_its_time() -> None:
    slots = Slots(4)
    running = [take(slots, sequence_of(i)) for i in range(4)]
    slots.release(running[1])
    assert [slots.old_gap() for _ in range(PATIENCE)] == [None] * PATIENCE
    gap = slots.old_gap()
    assert gap is slots.all[1]
    assert (slots.move_highest(gap), running[3].slot) == (3, 1)
    assert slots.old_gap() is None


@given(st.integers(1, 8), st.lists(st.integers(0, 15), max_size=40))
def test_slots_are_unique_and_dense_after_waiting(capacity: int, choices: list[int]) -> None:
    """Each choice is a slot to release where a sequence runs there, else a newcomer."""
    slots, number = Slots(capacity), 0
    for choice in choices:
        here = next((sequence for sequence in slots if sequence.slot == choice), None)
        if here is not None:
            slots.release(here)
        elif not slots.full:
            number += 1
            take(slots, sequence_of(number))
        taken = [sequence.slot for sequence in slots]
        assert taken == sorted(set(taken))
        assert len(taken) == len(slots)
    for _ in range(PATIENCE):
        slots.old_gap()
    while (gap := slots.old_gap()) is not None:
        slots.move_highest(gap)
    taken = [sequence.slot for sequence in slots]
    assert taken == list(range(taken[0], taken[0] + len(taken))) if taken else True


tokens = st.lists(st.integers(0, 1), max_size=40)


@given(tokens, tokens)
def test_the_common_prefix_is_that_of_a_plain_comparison(one: list[int], other: list[int]) -> None:
    pairs = zip(one, other, strict=False)
    expected = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
    assert common_prefix(one, other) == expected


@given(st.lists(tokens.filter(bool), max_size=6), tokens.filter(bool))
def test_a_start_reuses_only_what_is_the_same_and_leaves_the_last_token_to_compute(
    earlier: list[list[int]], prompt: list[int]
) -> None:
    slots = Slots(4)
    for number, old in enumerate(earlier):
        sequence = take(slots, sequence_of(number, old))
        sequence.computed = len(old)
        if number != len(earlier) - 1 or slots.full:
            slots.release(sequence)
    start = choose_start(slots, Parking(0), sequence_of(99, prompt), lambda common, held: common, 4)
    source = slots.all[start.copy_from if start.copy_from >= 0 else start.slot.id]
    assert start.slot.sequence is None
    assert start.cached < len(prompt)
    assert source.cached[: start.cached] == prompt[: start.cached]
