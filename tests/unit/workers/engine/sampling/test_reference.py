"""Our sampling against llama.cpp's own sampler chain, on the same logits."""

import ctypes
from typing import Any

import llama_cpp.llama_cpp as _untyped
import numpy as np
import pytest
from numpy.typing import NDArray

from workers.engine.sampling.candidates import find_candidates
from workers.engine.sampling.chain import ChainParams, weights
from workers.engine.sampling.mirostat import Mirostat
from workers.engine.sampling.params import SamplingParams
from workers.engine.sampling.penalties import penalize

C: Any = _untyped
Row = NDArray[np.float32]

NEUTRAL = SamplingParams(temperature=1.0, top_k=0, top_p=1.0)
SETTINGS = [
    SamplingParams(),
    SamplingParams(temperature=1.0, top_k=0, top_p=1.0),
    SamplingParams(temperature=0.01, top_k=1),
    SamplingParams(temperature=1.5, top_k=5, top_p=0.5),
    SamplingParams(temperature=1.0, top_k=0, top_p=0.95),
    SamplingParams(temperature=0.7, top_k=0, top_p=0.3, min_p=0.05),
    SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.1),
    SamplingParams(temperature=2.0, top_k=20, top_p=0.99, min_p=0.02),
    SamplingParams(temperature=1.0, top_k=0, top_p=1.0, typical_p=0.6),
    SamplingParams(temperature=0.9, top_k=64, top_p=0.8, typical_p=0.9),
    SamplingParams(temperature=1.0, top_k=10_000_000, top_p=0.9),
]
SHAPES = ["normal", "flat", "peaked", "spread", "uniform"]


def logits_of(shape: str, size: int, seed: int) -> Row:
    random = np.random.default_rng(seed)
    row = random.normal(size=size)
    match shape:
        case "flat":
            row *= 0.01
        case "peaked":
            row[random.integers(size)] += 20
        case "spread":
            row *= 30
        case "uniform":
            row = random.uniform(-20, 0, size)
        case _:
            row *= 3
    return row.astype(np.float32)


def ours(row: Row, params: SamplingParams) -> dict[int, float]:
    """Token -> probability, for what survives."""
    found = find_candidates(row[None, :], [params])
    return by_token(found.ids[0], weights(found.logits, ChainParams.of((params,)))[0])


def by_token(ids: NDArray[np.int64], weights: NDArray[np.float64]) -> dict[int, float]:
    kept = zip(ids, weights / weights.sum(), strict=False)  # no more than the largest top-k
    return {int(token): float(p) for token, p in kept if p > 0}


def llama_cpps(row: Row, params: SamplingParams) -> dict[int, float]:
    """The same from llama.cpp, in the order of its own server's chain."""
    chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
    for sampler in (
        C.llama_sampler_init_top_k(params.top_k),
        C.llama_sampler_init_typical(params.typical_p, 1),
        C.llama_sampler_init_top_p(params.top_p, 1),
        C.llama_sampler_init_min_p(params.min_p, 1),
        C.llama_sampler_init_temp(params.temperature),
    ):
        C.llama_sampler_chain_add(chain, sampler)
    array, _data = candidate_array(row)
    C.llama_sampler_apply(chain, ctypes.byref(array))
    C.llama_sampler_free(chain)
    kept = {array.data[i].id: float(array.data[i].logit) for i in range(array.size)}
    best = max(kept.values())
    weights = {token: np.exp(logit - best) for token, logit in kept.items()}
    total = sum(weights.values())
    return {token: float(weight / total) for token, weight in weights.items() if weight > 0}


def candidate_array(row: Row) -> tuple[Any, Any]:
    """llama.cpp's view of a row, and the memory that it points into."""
    data = (C.llama_token_data * len(row))()
    view = np.ctypeslib.as_array(ctypes.cast(data, ctypes.POINTER(ctypes.c_float)), (len(row), 3))
    view[:, 0] = np.arange(len(row), dtype=np.int32).view(np.float32)
    view[:, 1] = row
    return C.llama_token_data_array(data=data, size=len(row), selected=-1, sorted=False), data


def assert_same(row: Row, params: SamplingParams) -> None:
    got, expected = ours(row, params), llama_cpps(row, params)
    apart = sum(abs(got.get(token, 0) - expected.get(token, 0)) for token in got.keys() | expected.keys()) / 2
    # llama.cpp sums in single precision, so a token right at a threshold may fall on the other side of it
    at_the_edge = min([*got.values(), *expected.values()]) if got.keys() != expected.keys() else 0
    different = len(got.keys() ^ expected.keys())
    assert different <= 2, params
    assert apart <= 1e-4 + at_the_edge, params


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("params", SETTINGS, ids=range(len(SETTINGS)))
def test_the_distribution_is_that_of_llama_cpp(params: SamplingParams, shape: str) -> None:
    if shape == "spread" and params.typical_p < 1 and params.top_k <= 0:
        pytest.skip("llama.cpp takes the logarithm of a probability that is zero in single precision")
    for seed in range(6):
        assert_same(logits_of(shape, 3000, seed), params)


@pytest.mark.parametrize("size", [1, 2, 31, 33, 1000])
@pytest.mark.parametrize("params", SETTINGS, ids=range(len(SETTINGS)))
def test_small_vocabularies_are_sampled_as_by_llama_cpp(params: SamplingParams, size: int) -> None:
    for seed in range(4):
        assert_same(logits_of("normal", size, seed), params)


@pytest.mark.parametrize("params", SETTINGS[:8], ids=range(8))
def test_forbidden_tokens_are_never_drawn(params: SamplingParams) -> None:
    row = logits_of("normal", 3000, 1)
    row[::2] = -np.inf
    assert all(token % 2 for token in ours(row, params))
    assert_same(row, params)


def test_top_p_without_top_k_counts_the_mass_of_the_whole_vocabulary() -> None:
    row = np.full(100_000, -16.5, np.float32)
    row[:3] = 0.0, -5.5, -5.5  # the first two have 98.9 % of all mass, but 99.1 % without that of the many
    assert list(ours(row, SamplingParams(temperature=1.0, top_k=0, top_p=0.99))) == [0, 1, 2]


@pytest.mark.parametrize("top_k", [1, 3, 40])
def test_of_equal_logits_those_with_the_lowest_ids_survive(top_k: int) -> None:
    row = np.zeros(3000, np.float32)
    assert sorted(ours(row, SamplingParams(temperature=1.0, top_k=top_k, top_p=1.0))) == list(range(top_k))


def test_a_rows_distribution_does_not_depend_on_the_other_rows() -> None:
    rows = np.stack([logits_of("normal", 3000, seed) for seed in range(len(SETTINGS))])
    found = find_candidates(rows, SETTINGS)
    together = weights(found.logits, ChainParams.of(tuple(SETTINGS)))
    for i, params in enumerate(SETTINGS):
        assert by_token(found.ids[i], together[i]) == pytest.approx(ours(rows[i], params))


@pytest.mark.parametrize("off", [-1.0, 0.0])
def test_a_min_p_that_is_off_stays_off_beside_one_that_is_on(off: float) -> None:
    rows = np.stack([logits_of("normal", 100, 0)] * 2)
    params = [SamplingParams(min_p=off, top_k=10), SamplingParams(min_p=0.1, top_k=10)]
    together = weights(find_candidates(rows, params).logits, ChainParams.of(tuple(params)))
    assert (together[0] > 0).sum() == len(ours(rows[0], SamplingParams(top_k=10)))


def test_a_min_p_above_one_keeps_the_best() -> None:
    row = logits_of("normal", 100, 0)
    assert list(ours(row, SamplingParams(min_p=1.5, top_k=10))) == [int(row.argmax())]


PENALTIES = [
    SamplingParams(repeat_penalty=1.3),
    SamplingParams(presence_penalty=0.7),
    SamplingParams(frequency_penalty=0.4, repeat_last_n=8),
    SamplingParams(repeat_penalty=0.8, presence_penalty=-0.5, frequency_penalty=-0.1, repeat_last_n=-1),
]


@pytest.mark.parametrize("params", PENALTIES, ids=range(len(PENALTIES)))
def test_penalties_are_those_of_llama_cpp(params: SamplingParams) -> None:
    row = logits_of("normal", 50, 3)
    tokens = [int(t) for t in np.random.default_rng(5).integers(0, 20, 100)]
    window = len(tokens) if params.repeat_last_n < 0 else params.repeat_last_n
    sampler = C.llama_sampler_init_penalties(
        len(row), window, params.repeat_penalty, params.frequency_penalty, params.presence_penalty
    )
    for token in tokens:
        C.llama_sampler_accept(sampler, token)
    array, _data = candidate_array(row)
    C.llama_sampler_apply(sampler, ctypes.byref(array))
    C.llama_sampler_free(sampler)
    expected = [array.data[i].logit for i in range(len(row))]
    penalize(row, tokens, params)
    np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-6)


STEERED = [
    SamplingParams(mirostat=2),
    SamplingParams(mirostat=2, mirostat_tau=2.0, mirostat_eta=0.5, temperature=1.7),
    SamplingParams(mirostat=1),
    SamplingParams(mirostat=1, mirostat_tau=3.0, mirostat_eta=0.3, temperature=0.6),
]


def llama_cpps_mirostat(params: SamplingParams, size: int) -> Any:
    how = (0, params.mirostat_tau, params.mirostat_eta)
    if params.mirostat == 1:
        return C.llama_sampler_init_mirostat(size, *how, 100)
    return C.llama_sampler_init_mirostat_v2(*how)


@pytest.mark.parametrize("size", [50, 3000])
@pytest.mark.parametrize("params", STEERED, ids=range(len(STEERED)))
def test_mirostat_is_that_of_llama_cpp_along_a_sequence(params: SamplingParams, size: int) -> None:
    theirs, ours = llama_cpps_mirostat(params, size), Mirostat.of(params)
    temperature = C.llama_sampler_init_temp(params.temperature)
    assert ours is not None
    for seed in range(40):
        row = logits_of("normal", size, seed)
        array, _data = candidate_array(row)
        C.llama_sampler_apply(temperature, ctypes.byref(array))
        C.llama_sampler_apply(theirs, ctypes.byref(array))
        expected = {array.data[i].id: float(array.data[i].p) for i in range(array.size)}
        got = dict(zip(*(part.tolist() for part in ours.candidates(row)), strict=True))
        at_the_edge = min([*got.values(), *expected.values()])
        assert len(got.keys() ^ expected.keys()) <= 1  # llama.cpp's bound is in single precision
        for token in got.keys() & expected.keys():
            assert got[token] == pytest.approx(expected[token], abs=1e-4 + at_the_edge)
        ours.observe(float(array.data[array.selected].p))
    C.llama_sampler_free(temperature)
    C.llama_sampler_free(theirs)
