"""Prompts with media: their tokens, their positions, and what is kept of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engine.media import MediaChunk, MediaPrompt, MediaSpan, Places, Positions, TextChunk, cell_numbers
from workers.engine.media.cache import EncodedMedia

# two images of 36 cells in 6 positions each: tokens 2..37 and 40..75
SPANS = [(2, 36, 6), (40, 36, 6)]


PLACES = Places(np.zeros((1, 1), np.int32), np.ones((1, 1), np.int32))


def chunk(cells: int, positions: int = 0, key: bytes = b"image") -> MediaChunk:
    return MediaChunk(key, cells, positions or cells, np.zeros((cells, 1), np.float32), PLACES)


def positions(spans: list[tuple[int, int, int]]) -> Positions:
    return Positions([MediaSpan(start, chunk(cells, used)) for start, cells, used in spans])


@pytest.mark.parametrize(
    ("index", "position"), [(0, 0), (1, 1), (2, 2), (37, 2), (38, 8), (39, 9), (40, 10), (75, 10), (76, 16), (80, 20)]
)
def test_what_follows_an_image_moves_by_its_positions(index: int, position: int) -> None:
    assert positions(SPANS).of(index) == position


@pytest.mark.parametrize(
    ("length", "cut"), [(0, 0), (1, 1), (2, 2), (3, 2), (37, 2), (38, 38), (40, 40), (41, 40), (76, 76), (90, 90)]
)
def test_no_prefix_ends_inside_of_an_image(length: int, cut: int) -> None:
    assert positions(SPANS).cut(length) == cut


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9), st.integers(1, 9)), max_size=5), st.integers(0, 80))
def test_positions_are_those_that_counting_gives(parts: list[tuple[int, int, int]], index: int) -> None:
    spans: list[tuple[int, int, int]] = []
    counted: list[int] = []
    position = 0
    for text, cells, used in parts:
        counted += range(position, position + text)
        position += text
        spans.append((len(counted), cells, used))
        counted += [position] * cells
        position += used
    counted += range(position, position + 81)
    assert positions(spans).of(index) == counted[index]


def test_without_media_every_index_is_its_position() -> None:
    assert [Positions().of(5), Positions().cut(5), Positions().span_at(5), bool(Positions())] == [5, 5, None, False]


def test_a_span_is_found_at_each_of_its_cells() -> None:
    spans = positions(SPANS)
    assert [spans.span_at(index) for index in (2, 37, 40, 75)] == [spans.spans[i] for i in (0, 0, 1, 1)]
    assert [spans.span_at(index) for index in (0, 1, 38, 39, 76, 99)] == [None] * 6


def test_cells_are_negative_numbers_of_the_content() -> None:
    one, other = cell_numbers(b"one", 100), cell_numbers(b"other", 100)
    assert one == cell_numbers(b"one", 100)
    assert one[:50] == cell_numbers(b"one", 50)
    assert len({*one, *other}) == 200
    assert all(-(1 << 63) <= number < 0 for number in one)


def test_a_prompt_has_the_tokens_of_its_text_and_a_number_for_each_cell() -> None:
    prompt = MediaPrompt()
    prompt.extend([1, 2])
    for part in (TextChunk((3,)), chunk(2, key=b"a"), TextChunk((4,)), chunk(1, key=b"b")):
        prompt.append(part)
    prompt.extend([5])
    assert prompt.tokens == [1, 2, 3, *cell_numbers(b"a", 2), 4, *cell_numbers(b"b", 1), 5]
    assert [(span.start, span.end) for span in prompt.spans] == [(3, 5), (6, 7)]


def test_media_used_last_are_kept() -> None:
    kept = EncodedMedia(8)
    for digest in (b"a", b"b"):
        kept.put(digest, [TextChunk((1,)), chunk(1)])
    assert kept.get(b"a")
    kept.put(b"c", [chunk(1)])
    assert [kept.get(digest) is not None for digest in (b"a", b"b", b"c")] == [True, False, True]


def test_media_larger_than_the_cache_are_not_kept() -> None:
    kept = EncodedMedia(8)
    kept.put(b"a", [chunk(2)])
    kept.put(b"b", [chunk(3)])
    assert (kept.get(b"b"), len(kept.get(b"a") or ())) == (None, 1)
