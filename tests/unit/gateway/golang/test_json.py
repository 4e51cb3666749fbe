"""JSON and times look as Go writes them."""

from gateway.golang.json import encode, sorted_maps
from gateway.golang.times import Clock, local_time, utc_time


def test_html_and_line_separators_are_escaped() -> None:
    assert encode({"a": "<b>&\u2028\u2029é"}) == b'{"a":"\\u003cb\\u003e\\u0026\\u2028\\u2029\xc3\xa9"}'


def test_maps_are_sorted_at_every_depth() -> None:
    assert encode(sorted_maps({"b": [{"d": 1, "c": 2}], "a": 1})) == b'{"a":1,"b":[{"c":2,"d":1}]}'


def test_times_have_nanoseconds_without_trailing_zeros() -> None:
    assert utc_time(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12Z"
    assert utc_time(1_700_000_000_000_000_000) == "2023-11-14T22:13:20Z"
    assert utc_time(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"


def test_local_times_carry_the_offset() -> None:
    assert local_time(1_700_000_000_500_000_000)[19:22] == ".5Z" or local_time(1_700_000_000_500_000_000)[21] in "+-"


def test_the_clock_of_a_stream_never_goes_back() -> None:
    clock = Clock()
    ticks = [clock.now().removesuffix("Z") for _ in range(100)]
    assert [tick.ljust(29, "0") for tick in ticks] == sorted(tick.ljust(29, "0") for tick in ticks)
