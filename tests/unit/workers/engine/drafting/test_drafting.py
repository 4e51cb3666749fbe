"""Which tokens are guessed, and when guessing is given up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workers.engine.drafting.gain import LENGTHS, PROBE_EVERY, Gain
from workers.engine.drafting.heads import Track
from workers.engine.drafting.lookup import NGRAM, Lookup
from workers.engine.drafting.state import LONGEST_REST, DraftState

tokens = st.lists(st.integers(0, 2), max_size=60)


@given(tokens, st.integers(1, 8))
def test_a_draft_is_what_followed_the_same_tokens_the_last_time(text: list[int], limit: int) -> None:
    draft = Lookup().draft(text, limit)
    tail = text[-NGRAM:]
    places = [end for end in range(NGRAM, len(text)) if text[end - NGRAM : end] == tail]
    assert len(draft) == (limit if places else 0)
    if places:
        known = text[places[-1] :]
        assert draft[: len(known)] == known[:limit]


@given(tokens, st.integers(0, 60))
def test_a_lookup_that_learned_in_two_parts_drafts_as_one_that_learned_at_once(text: list[int], cut: int) -> None:
    lookup = Lookup()
    lookup.draft(text[:cut], 4)
    assert lookup.draft(text, 4) == Lookup().draft(text, 4)


def test_a_repeat_that_reaches_the_end_goes_on_in_its_period() -> None:
    assert Lookup().draft([9, 1, 2, 1, 2, 1, 2], 5) == [1, 2, 1, 2, 1]


def test_nothing_is_drafted_into_an_image() -> None:
    assert Lookup().draft([1, 2, 3, 4, -7, -8, 1, 2, 3], 4) == [4]


def test_a_lookup_forgets_what_a_context_shift_has_moved() -> None:
    lookup = Lookup()
    lookup.draft([1, 2, 3, 4, 1, 2, 3], 2)
    lookup.forget()
    assert lookup.draft([5, 6, 7, 8], 2) == []


def rates_of(gain: Gain, streams: int, rates: dict[int, float]) -> None:
    for length, rate in rates.items():
        gain.observe(streams, length, tokens=round(rate * 1000), elapsed_ns=1_000_000)


def test_every_length_is_tried_before_one_is_chosen() -> None:
    gain, tried = Gain(), list[int]()
    for _ in LENGTHS:
        tried.append(gain.length(1, 8))
        gain.observe(1, tried[-1], tokens=1, elapsed_ns=10)
    assert sorted(tried) == sorted(LENGTHS)


def test_the_fastest_length_is_used_and_drafts_that_hardly_pay_are_not() -> None:
    gain = Gain()
    rates_of(gain, 1, {0: 1.0, 1: 1.3, 2: 1.6, 4: 1.4, 8: 1.0})
    rates_of(gain, 8, {0: 8.0, 1: 8.2, 2: 7.0, 4: 5.0, 8: 4.0})
    assert (gain.length(1, 8), gain.length(8, 8)) == (2, 0)
    assert gain.length(1, 1) == 1


def test_what_did_not_pay_is_tried_again_now_and_then() -> None:
    gain = Gain()
    rates_of(gain, 1, {0: 1.0, 1: 0.5, 2: 0.5, 4: 0.5, 8: 0.5})
    lengths = [gain.length(1, 8) for _ in range(PROBE_EVERY * len(LENGTHS))]
    assert set(lengths) == set(LENGTHS)
    assert lengths.count(0) > 0.98 * len(lengths)


def test_a_sequence_whose_drafts_are_wrong_drafts_more_and_more_rarely() -> None:
    state, drafted = DraftState(), 0
    for _ in range(1000):
        if state.ready():
            drafted += 1
            state.learn(accepted=0)
    assert drafted < 6 + 1000 / LONGEST_REST + 1
    while not state.ready():
        pass
    state.learn(accepted=1)
    assert state.ready()


def test_each_token_that_waits_for_a_head_has_the_state_of_the_one_before() -> None:
    track = Track(slot=0, last=np.zeros(2, np.float32))
    track.add([5, 6], np.array([[5, 5], [6, 6]], np.float32))
    track.add([7], np.array([[7, 7]], np.float32))
    assert (track.waiting, track.end) == ([5, 6, 7], 3)
    assert np.array_equal(track.states, [[0, 0], [5, 5], [6, 6]])
    assert track.last.tolist() == [7, 7]
