"""How much of a prompt streams are made to wait for."""

from workers.engine.pace import FIRST_CHUNK, Pace

MS = 1_000_000


def test_what_is_not_known_yet_is_learned_from_little() -> None:
    assert Pace(max_gap=3.0, max_chunk=512).chunk(prompts=1) == FIRST_CHUNK


def test_a_chunk_keeps_the_gap_of_streams_and_grows_with_the_prompts_that_wait() -> None:
    pace = Pace(max_gap=3.0, max_chunk=512)
    pace.observe_decode(10 * MS, streams=8)
    pace.observe_prompts(100 * MS, tokens=100)  # a millisecond for each

    assert pace.chunk(prompts=1) == 20
    assert pace.chunk(prompts=16) == 230
    assert pace.chunk(prompts=100) == 512


def test_a_long_prompt_gets_on_however_slow_it_is() -> None:
    pace = Pace(max_gap=3.0, max_chunk=512)
    pace.observe_decode(1 * MS, streams=8)
    pace.observe_prompts(1000 * MS, tokens=100)
    assert pace.chunk(prompts=1) == 1


def test_the_largest_chunk_that_fits_is_taken_where_small_ones_cost_more_for_each_token() -> None:
    pace = Pace(max_gap=3.0, max_chunk=512)
    pace.observe_decode(100 * MS, streams=8)
    pace.observe_prompts(320 * MS, tokens=32)
    pace.observe_prompts(180 * MS, tokens=64)
    assert pace.chunk(prompts=1) == 71


def test_a_context_that_grows_makes_chunks_of_all_sizes_dearer() -> None:
    pace = Pace(max_gap=3.0, max_chunk=512)
    pace.observe_decode(100 * MS, streams=8)
    pace.observe_prompts(100 * MS, tokens=256)
    pace.observe_prompts(10 * MS, tokens=16)
    before = pace.chunk(prompts=1)
    for _ in range(20):
        pace.observe_prompts(40 * MS, tokens=16)
    assert before == 512
    assert pace.chunk(prompts=1) < 200


def test_a_step_of_more_streams_than_were_measured_counts_as_longer() -> None:
    pace = Pace(max_gap=3.0, max_chunk=512)
    pace.observe_prompts(64 * MS, tokens=64)
    pace.observe_decode(10 * MS, streams=4)
    few = pace.chunk(prompts=1)
    pace.observe_decode(30 * MS, streams=16)
    assert (few, pace.chunk(prompts=1)) == (20, 60)
