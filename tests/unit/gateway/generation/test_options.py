"""Options are merged, checked and bounded."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.errors import ErrorKind, GatewayError
from gateway.generation.options import MAX_CONTEXT, MAX_INT, ContextBounds, Options, resolve_options

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
        ("main_gpu", "0", "type integer"),
        ("draft_num_predict", [], "type integer"),
        ("min_p", False, "type float32"),
        ("stop", "x", "type array"),
        ("stop", ["x", 1], "an array of strings"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(name: str, value: Any, kind: str) -> None:
    with pytest.raises(GatewayError) as caught:
        resolved(**{name: value})
    assert (caught.value.kind, caught.value.message) == (ErrorKind.MISTYPED, f'option "{name}" must be of {kind}')


def test_unknown_and_legacy_options_have_no_effect() -> None:
    assert resolved(tfs_z=2, nonsense=[1]) == resolved()


EVERY_OPTION = {
    "top_k": 3,
    "top_p": 0.25,
    "min_p": 0.125,
    "typical_p": 0.75,
    "repeat_last_n": -1,
    "repeat_penalty": 1.5,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "temperature": 0.0625,
    "seed": 11,
    "mirostat": 2,
    "mirostat_tau": 4.5,
    "mirostat_eta": 0.25,
}


def test_every_sampling_option_reaches_the_wire() -> None:
    sampling = resolved(**EVERY_OPTION).sampling()
    assert {name: getattr(sampling, name) for name in EVERY_OPTION} == EVERY_OPTION


def test_every_load_option_reaches_the_scheduler() -> None:
    asked = {"num_ctx": 100, "num_batch": 64, "num_gpu": 2, "main_gpu": 1, "use_mmap": False, "num_thread": 3}
    options = resolved(**asked).load_options()
    assert {name: getattr(options, name) for name in asked} == asked


def test_what_was_not_asked_for_is_left_to_the_worker() -> None:
    options = resolved().load_options()
    assert (options.num_batch, options.num_gpu, options.num_thread) == (0, -1, 0)
    assert not options.HasField("main_gpu")
    assert not options.HasField("use_mmap")


def test_batches_and_threads_have_bounds() -> None:
    options = resolved(num_ctx=100, num_batch=10**9, num_thread=10**9).load_options()
    assert (options.num_batch, options.num_thread) == (100, 512)


def test_every_negative_number_of_layers_is_as_many_as_fit() -> None:
    assert resolved(num_gpu=-7).load_options() == resolved().load_options()


@pytest.mark.parametrize(
    ("model", "request_", "drafted"), [(None, None, None), (4, None, 4), (4, 0, 0), (4, 7, 7), (None, -1, 0)]
)
def test_the_request_or_the_model_bounds_drafting_without_another_replica(
    model: int | None, request_: int | None, drafted: int | None
) -> None:
    options = resolve_options({"draft_num_predict": model}, {"draft_num_predict": request_}, BOUNDS)
    assert options.draft_tokens == drafted
    assert options.load_options() == resolved().load_options()


def test_legacy_options_are_ignored_without_a_word_and_unknown_ones_with_one() -> None:
    legacy = ("tfs_z", "penalize_newline", "numa", "low_vram", "f16_kv")
    with capture_logs() as lines:
        resolved(**dict.fromkeys((*legacy, "vocab_only", "use_mlock", "logits_all"), "of any type"))
    assert lines == []
    with capture_logs() as lines:
        resolved(num_gqa=1)
    assert [line["options"] for line in lines] == [["num_gqa"]]


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


def test_a_context_is_never_longer_than_llama_cpp_can_count() -> None:
    assert ContextBounds(default=4096, trained=0).apply(MAX_INT) == MAX_CONTEXT
    assert ContextBounds(default=4096, trained=MAX_INT, cells=MAX_INT).apply(MAX_INT) == MAX_CONTEXT
    assert 256 * MAX_CONTEXT <= MAX_INT
