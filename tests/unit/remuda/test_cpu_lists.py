"""CPU sets as operators write them, and how workers get them."""

from contextlib import ExitStack

import pytest

from remuda.cpu_lists import parse_cpu_sets, write_cpu_set
from workers.host.affinity import ALL_CPUS, CpuSets


@pytest.mark.parametrize(
    ("text", "sets"),
    [
        ("0", [{0}]),
        ("0-3,8", [{0, 1, 2, 3, 8}]),
        ("0-7:2", [{0, 2, 4, 6}]),
        (" 0-1 ; 2-3 ;", [{0, 1}, {2, 3}]),
        ("4-4,4", [{4}]),
    ],
)
def test_sets_are_written_as_for_taskset(text: str, sets: list[set[int]]) -> None:
    assert list(parse_cpu_sets(text)) == sets


@pytest.mark.parametrize("text", ["x", "3-1", "-1", "0-", "0-3:0", "0,,1", "0-999999999", "1.5", "0;x"])
def test_text_that_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - `int` raises it, and settings add the message
        parse_cpu_sets(text)


def test_a_set_that_is_written_is_read_back() -> None:
    assert parse_cpu_sets(write_cpu_set(frozenset({9, 10, 2}))) == (frozenset({9, 10, 2}),)


def test_a_new_worker_gets_the_set_that_the_fewest_have() -> None:
    first, second = frozenset({0}), frozenset({1})
    sets = CpuSets([first, second])
    with ExitStack() as workers, sets.lent() as one:
        leaving = ExitStack()
        assert [one, leaving.enter_context(sets.lent()), workers.enter_context(sets.lent())] == [first, second, first]
        leaving.close()
        assert workers.enter_context(sets.lent()) == second


def test_without_sets_a_worker_gets_all_cpus() -> None:
    with CpuSets(()).lent() as cpus:
        assert cpus == ALL_CPUS
