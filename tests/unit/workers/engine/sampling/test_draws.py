"""Which token is drawn: randomness, greedy picking, and rows that hold nothing to pick from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engine.sampling.candidates import find_candidates
from workers.engine.sampling.chain import draw
from workers.engine.sampling.draw import Draw
from workers.engine.sampling.mirostat import Mirostat
from workers.engine.sampling.params import SamplingParams
from workers.engine.sampling.randomness import uniform
from workers.engine.sampling.sampler import NO_TOKEN, sample

seeds = st.integers(0, 2**64 - 1)


def draw_with(params: SamplingParams, tokens: list[int] | None = None) -> Draw:
    return Draw(params, tokens or [1], 0, Mirostat.of(params))


@given(seeds, st.integers(0, 10**7))
def test_a_draw_is_a_number_from_zero_to_one_that_depends_on_seed_and_position_alone(seed: int, position: int) -> None:
    number = uniform(seed, position)
    assert 0 <= number < 1
    assert number == uniform(seed, position)


@pytest.mark.parametrize("seed", [0, 1, 42, 2**63, 2**64 - 1])
def test_draws_are_uniform_along_a_sequence(seed: int) -> None:
    counts, _ = np.histogram([uniform(seed, position) for position in range(4000)], bins=10, range=(0, 1))
    assert ((counts > 300) & (counts < 500)).all()


def test_draws_are_uniform_over_neighbouring_seeds() -> None:
    counts, _ = np.histogram([uniform(seed, 0) for seed in range(4000)], bins=10, range=(0, 1))
    assert ((counts > 300) & (counts < 500)).all()


def test_neighbouring_seeds_do_not_draw_the_same_shifted() -> None:
    one, other = ({uniform(seed, position) for position in range(1000)} for seed in (7, 8))
    assert not one & other


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(lambda w: sum(w) > 1e-3), st.floats(0, 1, exclude_max=True)
)
def test_only_candidates_with_a_probability_are_drawn(weights: list[float], number: float) -> None:
    distribution = np.array([weights]) / sum(weights)
    (chosen,) = draw(distribution, np.array([[number]]))
    assert distribution[0, chosen] > 0


def test_draws_follow_the_distribution() -> None:
    numbers = np.array([[uniform(3, position)] for position in range(10_000)])
    chosen = draw(np.tile([0.5, 0.3, 0.0, 0.2], (10_000, 1)), numbers)
    np.testing.assert_allclose(np.bincount(chosen, minlength=4) / 10_000, [0.5, 0.3, 0, 0.2], atol=0.02)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_greedy_takes_the_best_and_of_equals_the_first(temperature: float) -> None:
    row = np.array([[0.0, 5.0, 1.0, 5.0]], np.float32)
    assert sample(row, [draw_with(SamplingParams(temperature=temperature))]) == [1]


def test_a_tiny_temperature_is_as_good_as_greedy() -> None:
    row = np.random.default_rng(0).normal(size=(1, 500)).astype(np.float32)
    best = int(row.argmax())
    assert sample(row, [draw_with(SamplingParams(temperature=1e-30, seed=9))]) == [best]


def test_greedy_and_drawn_rows_of_one_step_do_not_mix() -> None:
    row = np.random.default_rng(1).normal(size=200).astype(np.float32)
    drawn = SamplingParams(temperature=1.5, top_k=0, top_p=1.0, seed=5)
    mixed = [SamplingParams(temperature=0), drawn, SamplingParams(temperature=0), drawn]
    tokens = sample(np.stack([row] * 4), [draw_with(params) for params in mixed])
    (alone,) = sample(row[None, :].copy(), [draw_with(drawn)])
    assert tokens == [int(row.argmax()), alone, int(row.argmax()), alone]


def test_a_penalty_counts_for_greedy_picking_too() -> None:
    row = np.array([[3.0, 2.9, 0.0]], np.float32)
    assert sample(row, [draw_with(SamplingParams(temperature=0, presence_penalty=1.0), [0])]) == [1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "params",
    [SamplingParams(temperature=0), SamplingParams(), SamplingParams(top_k=0), SamplingParams(mirostat=1)],
)
def test_a_row_without_numbers_gives_no_token_and_leaves_the_others_alone(params: SamplingParams, value: float) -> None:
    rows = np.zeros((2, 400), np.float32)
    rows[0] = value
    rows[1, 7] = 50
    assert sample(rows, [draw_with(params), draw_with(params)]) == [NO_TOKEN, 7]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_of_what_a_grammar_leaves_nothing_else_becomes_a_candidate(count: int) -> None:
    """Two rows take the way of the group maxima, one row its own."""
    allowed = np.array([3, 700, 20_000, 20_001, 30_000])[:count]
    rows = np.full((3, 32_000), -np.inf, np.float32)
    rows[:, allowed] = np.linspace(1, 2, count)
    for some in (rows, rows[:1]):
        found = find_candidates(some, [SamplingParams()] * len(some))
        assert found.ids.shape == (len(some), count)
        assert set(found.ids[0]) == set(allowed)
        assert set(sample(some.copy(), [draw_with(SamplingParams(seed=5))] * len(some))) <= set(allowed.tolist())


@pytest.mark.parametrize(
    "extreme",
    [
        SamplingParams(temperature=0, repeat_penalty=1e-38),
        SamplingParams(temperature=0, frequency_penalty=float("-inf")),
        SamplingParams(temperature=0, presence_penalty=float("inf")),
    ],
)
def test_penalties_that_overflow_leave_numbers_and_bring_back_nothing_that_was_ruled_out(
    extreme: SamplingParams,
) -> None:
    row = np.array([[1.0, 3.0, 2.0, -np.inf]], np.float32)
    (token,) = sample(row, [draw_with(extreme, [1, 3])])
    assert token == (2 if extreme.presence_penalty > 0 else 1)
    assert np.isneginf(row[0, 3])


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_holds_the_surprise_near_its_target(version: int) -> None:
    params = SamplingParams(temperature=1.0, mirostat=version, mirostat_tau=3.0)
    mirostat = Mirostat.of(params)
    assert mirostat is not None
    random, surprises = np.random.default_rng(4), list[float]()
    for number in range(400):
        row = random.normal(scale=2, size=2000).astype(np.float32)
        bound = mirostat.bound
        sample(row[None], [Draw(params, [1], number, mirostat)])
        surprises.append(params.mirostat_tau - (mirostat.bound - bound) / params.mirostat_eta)
    assert np.mean(surprises[50:]) == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("tau", [0.0, -3e38, 3e38])
def test_mirostat_draws_a_token_that_is_allowed_whatever_it_aims_at(version: int, tau: float) -> None:
    row = np.full((1, 300), -np.inf, np.float32)
    row[0, [7, 70]] = 1.0, 2.0
    params = SamplingParams(mirostat=version, mirostat_tau=tau)
    (token,) = sample(row, [Draw(params, [1], 0, Mirostat.of(params))])
    assert token in ((7, 70) if tau > 0 else (70,))


@pytest.mark.parametrize(("version", "temperature"), [(0, 1.0), (3, 1.0), (-1, 1.0), (1, 0.0), (2, 0.0)])
def test_mirostat_is_off_where_it_is_not_asked_for_and_where_the_best_is_taken(
    version: int, temperature: float
) -> None:
    assert Mirostat.of(SamplingParams(mirostat=version, temperature=temperature)) is None
