"""Go durations in nanoseconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remuda.durations import go_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("+5s", 5_000_000_000),
        ("-1m", -60_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("300ms", 300_000_000),
        ("7µs", 7_000),
        ("7us", 7_000),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("abc", 'time: invalid duration "abc"'),
        ("300", 'time: missing unit in duration "300"'),
        ("2562048h", 'time: invalid duration "2562048h"'),
        (f"{10**400}h", f'time: invalid duration "{10**400}h"'),
        ("3d", 'time: unknown unit "d" in duration "3d"'),
    ],
)
def test_an_unreadable_duration_is_refused_in_gos_words(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="time: ") as refused:
        parse_duration(text)
    assert str(refused.value) == message


@given(st.integers(min_value=0, max_value=10**17))
def test_a_duration_that_is_written_is_read_back(nanoseconds: int) -> None:
    assert parse_duration(go_duration(nanoseconds)) == pytest.approx(nanoseconds, abs=10)
