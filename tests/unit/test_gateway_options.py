"""Options are merged, checked and bounded."""

from typing import Any

import pytest

from gateway.errors import ApiError
from gateway.options import ContextBounds, Options, resolve_options

BOUNDS = ContextBounds(default=4096, trained=8192)


def resolved(**request: Any) -> Options:
    return resolve_options({}, request, BOUNDS)


def test_the_request_wins_over_the_model_and_the_model_over_the_default() -> None:
    options = resolve_options({"top_k": 7, "temperature": 0.1}, {"top_k": 9}, BOUNDS)
    assert (options.top_k, options.temperature, options.top_p) == (9, 0.1, 0.9)


def test_null_leaves_the_models_value() -> None:
    assert resolve_options({"top_k": 7}, {"top_k": None}, BOUNDS).top_k == 7


@pytest.mark.parametrize(("asked", "given"), [(None, 4096), (1, 4), (100, 100), (10**9, 8192), (1e300, 8192)])
def test_the_context_stays_between_four_tokens_and_what_was_trained(asked: Any, given: int) -> None:
    assert resolved(num_ctx=asked).num_ctx == given


def test_integers_truncate_toward_zero() -> None:
    assert (resolved(top_k=40.9).top_k, resolved(num_keep=-1.5).num_keep) == (40, -1)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("top_k", "1", "type integer"),
        ("top_k", True, "type integer"),
        ("temperature", "hot", "type float32"),
        ("use_mmap", 1, "type boolean"),
        ("stop", "x", "type array"),
        ("stop", ["x", 1], "an array of strings"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_500(name: str, value: Any, kind: str) -> None:
    with pytest.raises(ApiError) as caught:
        resolved(**{name: value})
    assert (caught.value.status, caught.value.message) == (500, f'option "{name}" must be of {kind}')


def test_unknown_and_legacy_options_have_no_effect() -> None:
    assert resolved(mirostat=2, nonsense=[1]) == resolved()


@pytest.mark.parametrize(("asked", "given"), [(-1, 40960), (0, 40960), (5, 5), (10**6, 40960)])
def test_a_reply_is_ten_contexts_long_at_most(asked: int, given: int) -> None:
    assert resolved(num_predict=asked).max_tokens == given


def test_a_seed_is_kept_and_its_absence_draws_one() -> None:
    assert resolved(seed=42).sampling().seed == 42
    assert resolved().sampling().seed != resolved().sampling().seed


def test_numbers_beyond_the_wires_range_do_not_fail() -> None:
    options = resolved(top_k=10**30, temperature=10**40, seed=-5, num_thread=-3, num_batch=-1)
    assert options.sampling().top_k == 2**31 - 1
    assert options.load_options().num_thread == 0
