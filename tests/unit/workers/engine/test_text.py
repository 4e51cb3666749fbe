"""From the bytes of tokens to text that may be sent."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from workers.engine.stop_strings import StopStrings
from workers.engine.text import TextStream

letters = st.text(alphabet="abé😀 ", max_size=40)
stops = st.text(alphabet="abé😀 ", min_size=1, max_size=5)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


def streamed(stream: TextStream, pieces: list[bytes]) -> list[str]:
    return [*(stream.feed(piece) for piece in pieces), stream.end()]


@given(st.text(max_size=60), st.lists(st.integers(0, 500), max_size=20))
def test_any_cut_of_the_bytes_gives_the_whole_text_in_whole_characters(text: str, places: list[int]) -> None:
    said = streamed(TextStream(), cut(text.encode(), places))
    assert "".join(said) == text


@given(letters, stops, st.lists(st.integers(0, 500), max_size=20))
@example("aab", "ab", [1, 2])
def test_the_text_ends_before_the_first_stop_string_however_it_is_cut(text: str, stop: str, places: list[int]) -> None:
    stream = TextStream([stop])
    before, found, _ = text.partition(stop)
    assert "".join(streamed(stream, cut(text.encode(), places))) == before
    assert stream.stopped == bool(found)


@given(letters, st.lists(stops, max_size=4), st.lists(st.integers(0, 500), max_size=20))
def test_nothing_of_a_stop_string_leaks(text: str, stop: list[str], places: list[int]) -> None:
    stream = TextStream(stop)
    said = "".join(streamed(stream, cut(text.encode(), places)))
    assert text.startswith(said)
    assert not any(one in said for one in stop)
    assert stream.stopped == any(one in text for one in stop)
    assert not stream.stopped or any(text.startswith(one, len(said)) for one in stop)


@given(letters, st.lists(stops, max_size=4))
def test_of_several_stop_strings_the_earliest_counts(text: str, stop: list[str]) -> None:
    ends = [place for place in map(text.find, stop) if place >= 0]
    assert "".join(streamed(TextStream(stop), [text.encode()])) == text[: min(ends, default=len(text))]


@given(letters, stops, st.lists(st.integers(0, 500), max_size=20))
def test_only_what_may_become_a_stop_string_is_held_back(text: str, stop: str, places: list[int]) -> None:
    stream, sent, seen = TextStream([stop]), "", b""
    for piece in cut(text.encode(), places):
        sent += stream.feed(piece)
        seen += piece
        held = seen.decode(errors="ignore")[len(sent) :]
        assert stream.stopped or stop.startswith(held)


def held_to(stop: list[str], pieces: list[str]) -> list[str]:
    """What may be sent after each piece, by the rules themselves: all text is searched anew each time."""
    said, held = [], ""
    for piece in pieces:
        held += piece
        if places := [place for place in map(held.find, stop) if place >= 0]:
            return [*said, held[: min(places)]]
        safe = next(at for at in range(len(held) + 1) if any(one.startswith(held[at:]) for one in stop))
        said.append(held[:safe])
        held = held[safe:]
    return [*said, held]


@given(
    st.lists(st.text(alphabet="ab", min_size=1, max_size=12), min_size=1, max_size=6),
    st.lists(st.text(alphabet="abc", max_size=8), max_size=12),
)
@example(["abab", "ba", "b"], ["ab"])
@example(["abcd", "bc"], ["abcd"])
@example(["abcd", "bc"], ["abc", "d"])
@example(["aaaa", "aab"], ["aaa", "ab"])
@example(["abcde", "bc", "cd"], ["abcdf"])
def test_many_stop_strings_give_each_piece_what_a_search_for_each_of_them_gives(
    stop: list[str], pieces: list[str]
) -> None:
    stream, said = StopStrings(stop), []
    for piece in pieces:
        said.append(stream.feed(piece))
        if stream.matched:
            break
    assert ([*said, stream.end()] if not stream.matched else said) == held_to(stop, pieces)


def test_an_empty_stop_string_stops_nothing() -> None:
    assert "".join(streamed(TextStream([""]), [b"abc"])) == "abc"


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    assert "".join(streamed(TextStream(), [b"a\xff", b"b"])) == "a\ufffdb"


def test_an_unfinished_character_at_the_end_is_dropped() -> None:
    assert "".join(streamed(TextStream(), ["é".encode()[:1]])) == ""


def test_what_follows_a_stop_string_is_dropped() -> None:
    stream = TextStream(["STOP"])
    assert streamed(stream, [b"a ST", b"OP b", b"c"]) == ["a ", "", "", ""]
