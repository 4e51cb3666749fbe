"""The tree of parked states finds what looking at each of them would find."""

from collections.abc import Generator
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engine.common_prefix import common_prefix
from workers.engine.parking import ParkedState, tree
from workers.engine.parking.parked_states import ParkedStates
from workers.engine.parking.tree import StateTree

BLOCK = 3
lists = st.lists(st.integers(0, 1), max_size=12)
many = st.lists(lists, max_size=12)


@pytest.fixture(autouse=True, scope="module")
def short_blocks() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree, "BLOCK", BLOCK)
        yield


def state_of(tokens: list[int], *adapters: str) -> ParkedState:
    return ParkedState(tokens, adapters, np.zeros(1, np.uint8))


def states_of(every: list[list[int]]) -> ParkedStates:
    states = ParkedStates()
    for tokens in every:
        states.add(state_of(tokens))
    return states


@given(many, lists)
def test_the_longest_common_beginning_is_found_to_less_than_a_block(every: list[list[int]], prompt: list[int]) -> None:
    length, state = states_of(every).find(prompt, (), lambda common, held: common)
    longest = max((common_prefix(tokens, prompt) for tokens in every), default=0)
    assert longest - BLOCK < length <= longest
    if state is not None:
        assert common_prefix(state.tokens, prompt) == length


@given(many, lists)
def test_what_serves_only_as_a_whole_is_found_exactly(every: list[list[int]], prompt: list[int]) -> None:
    length, state = states_of(every).find(prompt, (), lambda common, held: common if common == held else 0)
    whole = [tokens for tokens in every if prompt[: len(tokens)] == tokens]
    assert length == max(map(len, whole), default=0)
    if state is not None:
        assert state.tokens == prompt[:length]


@given(many, lists)
def test_all_beginnings_are_found(every: list[list[int]], prompt: list[int]) -> None:
    tree = StateTree()
    for tokens in every:
        tree.add(state_of(tokens))
    found = [tuple(state.tokens) for state in tree.beginnings(prompt, ())]
    assert len(found) == len(set(found))
    assert set(found) == {tuple(tokens) for tokens in every if prompt[: len(tokens)] == tokens}


@given(many, st.randoms(use_true_random=False))
def test_a_tree_from_which_all_was_taken_is_empty(every: list[list[int]], random: Random) -> None:
    tree, present = StateTree(), dict[tuple[int, ...], ParkedState]()
    for tokens in every:
        state = state_of(tokens, "a")
        assert tree.add(state) is present.get(tuple(tokens))
        present[tuple(tokens)] = state
    left = list(present.values())
    random.shuffle(left)
    for state in left:
        tree.remove(state)
    assert tree._roots == {}


def test_states_of_other_adapters_are_not_found() -> None:
    states = ParkedStates()
    for adapters in ((), ("a",), ("b", "a")):
        states.add(state_of([1] * 10, *adapters))
    for adapters in (("b",), ("a", "b")):
        assert states.find([1] * 10, adapters, lambda common, held: common).state is None


def test_the_bytes_are_those_of_the_states_that_are_left() -> None:
    states = states_of([[1], [1, 1], [2], [1]])
    assert (len(states), states.bytes) == (3, 3)
    states.drop_served_by(state_of([1, 1, 1]), cuttable=True)
    assert (len(states), states.bytes) == (1, 1)
    assert states.pop_oldest().tokens == [2]
    assert (len(states), states.bytes) == (0, 0)
