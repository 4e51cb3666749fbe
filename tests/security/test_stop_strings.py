"""A token costs a worker the same however many stop strings its request has, and however long they are."""

import pytest
from support.work import work_of

from workers.engine.stop_strings import StopStrings

TOKENS = 1000
MANY = [["a" * 31 + chr(0x100 + number) for number in range(128)], ["a" * 4000 + "b"], ["ab" * 2000 + "c"]]


def work(stop: list[str], tokens: int = TOKENS) -> int:
    """The work on a reply of which every token may begin a stop string, or go on with one."""

    def read() -> None:
        stream = StopStrings(stop)
        for _ in range(tokens):
            stream.feed("aba")

    return work_of(read)


@pytest.mark.parametrize("stop", MANY)
def test_further_tokens_are_no_more_work_with_many_or_long_stop_strings_than_with_a_short_one(stop: list[str]) -> None:
    assert work(stop, 2 * TOKENS) - work(stop) < 2 * (work(["ac"], 2 * TOKENS) - work(["ac"]))


@pytest.mark.parametrize("stop", MANY)
def test_reading_the_stop_strings_is_work_of_their_length(stop: list[str]) -> None:
    assert work(stop) - 2 * work(["ac"]) < 20 * sum(map(len, stop))
