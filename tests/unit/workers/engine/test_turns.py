"""Groups of sequences with different adapters take turns."""

from hypothesis import given
from hypothesis import strategies as st

from workers.engine.turns import STEPS_OF_A_TURN, Turns

PLAIN, ONE, BOTH = (), ("a",), ("a", "b")


def test_a_group_alone_has_every_step() -> None:
    turns = Turns()
    assert [turns.next([ONE, ONE]) for _ in range(3 * STEPS_OF_A_TURN)] == [ONE] * 3 * STEPS_OF_A_TURN


def test_groups_have_turns_of_the_same_length() -> None:
    turns = Turns()
    order = [turns.next([BOTH, PLAIN, ONE, PLAIN]) for _ in range(6 * STEPS_OF_A_TURN)]
    assert order[::STEPS_OF_A_TURN] == [PLAIN, ONE, BOTH] * 2
    assert all(len(set(order[i : i + STEPS_OF_A_TURN])) == 1 for i in range(0, len(order), STEPS_OF_A_TURN))


def test_a_group_that_has_nothing_to_do_is_passed_over() -> None:
    turns = Turns()
    assert turns.next([ONE, BOTH]) == ONE
    assert turns.next([BOTH]) == BOTH
    assert turns.next([ONE, BOTH]) == BOTH


groups = st.lists(st.sampled_from([PLAIN, ONE, BOTH, ("c",)]), min_size=1)


@given(st.lists(groups, min_size=1, max_size=60))
def test_nobody_waits_longer_than_a_turn_of_each_other_group(steps: list[list[tuple[str, ...]]]) -> None:
    turns = Turns()
    waited: dict[tuple[str, ...], int] = {}
    for waiting in steps:
        turn = turns.next(waiting)
        assert turn in waiting
        waited = {group: 0 if group == turn else waited.get(group, 0) + 1 for group in set(waiting)}
        assert max(waited.values()) <= 3 * STEPS_OF_A_TURN
