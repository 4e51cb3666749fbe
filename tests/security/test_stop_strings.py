"""A token costs a worker the same however many stop strings its request has, and however long they are."""

import pytest
from support.work import lines_run

from workers.engine import stop_strings
from workers.engine.stop_strings import StopStrings

TOKENS = 1000


def work(stop: list[str]) -> int:
    """The work on a reply that a stop string may begin anywhere in."""
    stream = StopStrings(stop)

    def read() -> None:
        for _ in range(TOKENS):
            stream.feed("aaa")

    return lines_run(stop_strings, read)


@pytest.mark.parametrize("stop", [["a" * 31 + chr(0x100 + number) for number in range(128)], ["a" * 4000 + "b"]])
def test_many_and_long_stop_strings_are_no_more_work_than_a_short_one(stop: list[str]) -> None:
    assert work(stop) < 2 * work(["ab"])


def test_reading_stop_strings_takes_work_of_their_length() -> None:
    def build(size: int) -> int:
        return lines_run(stop_strings, lambda: StopStrings(["a" * size + "b", *(chr(0x100 + n) for n in range(128))]))

    assert build(2000) < 3 * build(1000)
