"""The engine on real llama.cpp contexts: a model with a script, and the embedded one."""

from pathlib import Path

import pytest
from support.engine_run import Run, engine_on
from support.paths import CRIA
from support.scripted import FIRST_BYTE, FIRST_WORD, PROMPT, write_scripted_model

from workers.engine.grammar import Constraint, Grammars
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import FinishReason, SequenceKey


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripted_model(tmp_path_factory.mktemp("model") / "script.gguf", "The horse ran over the hill END now")


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripted_model(tmp_path_factory.mktemp("model") / "endless.gguf", "round and about", for_ever=True)


def test_a_model_says_its_script_and_stops(script: Path) -> None:
    run = Run(engine_on(script))
    run.add(1)
    run.steps()
    assert run.text[1] == "The horse ran over the hill END now"
    assert run.finish(1) is FinishReason.STOP
    assert run.engine.slots_busy == 0


def test_a_stop_string_ends_the_text_before_it(script: Path) -> None:
    run = Run(engine_on(script))
    run.add(1, stop=("hill END",))
    run.steps()
    assert run.text[1] == "The horse ran over the "
    assert run.finish(1) is FinishReason.STOP


def test_what_looked_like_a_stop_string_is_said_after_all(script: Path) -> None:
    run = Run(engine_on(script))
    run.add(1, stop=("now or never",))
    run.steps()
    assert run.text[1] == "The horse ran over the hill END now"


@pytest.mark.parametrize(("predict", "text"), [(1, "The"), (3, "The horse ran")])
def test_num_predict_is_the_number_of_tokens(script: Path, predict: int, text: str) -> None:
    run = Run(engine_on(script))
    sequence = run.add(1, predict=predict)
    run.steps()
    assert (run.text[1], sequence.generated) == (text, predict)
    assert run.finish(1) is FinishReason.LENGTH


def test_a_resumed_request_counts_the_tokens_of_the_earlier_attempt(script: Path) -> None:
    run = Run(engine_on(script))
    words = [FIRST_BYTE + 256 + i for i in range(2)]
    run.add(1, [*PROMPT, *words], predict=4, resumed=2)
    run.steps()
    assert run.text[1] == " ran over"


def test_a_resumed_request_that_has_all_its_tokens_ends_without_another(script: Path) -> None:
    run = Run(engine_on(script))
    words = [FIRST_BYTE + 256 + i for i in range(2)]
    run.add(1, [*PROMPT, *words], predict=2, resumed=2)
    run.steps()
    assert (run.text[1], run.finish(1)) == ("", FinishReason.LENGTH)


def test_more_sequences_than_slots_are_all_served(script: Path) -> None:
    run = Run(engine_on(script, slots=2))
    for number in range(7):
        run.add(number)
    run.steps()
    assert set(run.text.values()) == {"The horse ran over the hill END now"}
    assert run.ended == sorted(run.ended)


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        ([], "the prompt is empty"),
        ([1] * 300, "the prompt is longer than the context length"),
        ([1, 10**6], "the prompt has a token that is not in the vocabulary"),
        ([1, -1], "the prompt has a token that is not in the vocabulary"),
    ],
)
def test_a_request_that_cannot_run_ends_with_an_error_and_the_others_go_on(
    script: Path, prompt: list[int], error: str
) -> None:
    run = Run(engine_on(script))
    run.add(1)
    run.steps(2)
    run.add(2, prompt)
    run.steps()
    assert (run.finish(2), run.sequences[2].error, run.text[2]) == (FinishReason.ERROR, error, "")
    assert run.text[1].endswith("now")
    assert run.engine.alive() == []


def test_a_running_sequence_that_is_cancelled_while_a_step_computes_ends_and_frees_its_slot(endless: Path) -> None:
    run = Run(engine_on(endless))
    run.add(1, predict=-1)
    run.steps(5)
    run.steps(10, meanwhile=lambda: run.engine.cancel(SequenceKey(1, 0)))
    assert run.finish(1) is FinishReason.CANCELLED
    assert (run.engine.busy, run.engine.slots_busy) == (False, 0)


def test_a_running_sequence_that_is_cancelled_between_two_steps_ends(endless: Path) -> None:
    run = Run(engine_on(endless))
    run.add(1, predict=-1)
    run.steps(5)
    run.engine.cancel(SequenceKey(1, 0))
    run.steps(5)
    assert run.finish(1) is FinishReason.CANCELLED
    assert not run.engine.busy


def test_a_waiting_sequence_that_is_cancelled_never_runs(endless: Path) -> None:
    run = Run(engine_on(endless, slots=1))
    run.add(1, predict=-1)
    run.add(2)
    run.steps(5)
    run.engine.cancel(SequenceKey(2, 0))
    run.steps(5)
    assert run.finish(2) is FinishReason.CANCELLED
    assert (run.text[2], run.engine.waiting, run.finish(1)) == ("", 0, None)


def test_a_sequence_that_is_cancelled_before_its_first_step_ends(script: Path) -> None:
    run = Run(engine_on(script))
    run.add(1)
    run.engine.cancel(SequenceKey(1, 0))
    run.steps(5)
    assert run.finish(1) is FinishReason.CANCELLED
    assert not run.engine.busy


def test_every_piece_of_text_has_whole_characters(tmp_path: Path) -> None:
    text = "né €5 😀 ok"
    run = Run(engine_on(write_scripted_model(tmp_path / "m.gguf", text.replace(" ", "_"))))
    run.add(1)
    pieces: list[str] = []
    run.engine.bind(lambda new: pieces.extend(piece.text for piece in new))
    for _ in range(40):
        if run.engine.busy:
            run.engine.step()
    assert "".join(pieces) == text.replace(" ", "_")
    assert "\ufffd" not in "".join(pieces)
    assert "😀" in pieces


def test_a_full_context_ends_the_sequence(endless: Path) -> None:
    run = Run(engine_on(endless))
    sequence = run.add(1, predict=-1)
    run.steps()
    assert run.finish(1) is FinishReason.LENGTH
    assert len(sequence.tokens) == 257  # the last token needs no cell


def test_a_context_shift_goes_on_generating(endless: Path) -> None:
    run = Run(engine_on(endless))
    sequence = run.add(1, predict=600, shift=True, num_keep=4)
    run.steps()
    assert (sequence.generated, run.finish(1)) == (600, FinishReason.LENGTH)
    assert run.text[1] == "round and about" * 200


def test_slots_are_dense_again_after_some_steps(endless: Path) -> None:
    run = Run(engine_on(endless, slots=4))
    for number in range(4):
        run.add(number, predict=5 if number in (1, 2) else 80)
    run.steps(60)
    running = sorted(sequence.slot for sequence in run.sequences.values() if sequence.finish is None)
    assert len(running) == 2
    assert running[1] - running[0] == 1
    run.steps()
    assert run.text[0] == run.text[3]


def test_a_stop_string_of_one_sequence_leaves_the_others_alone(script: Path) -> None:
    run = Run(engine_on(script))
    run.add(1, stop=("over",))
    run.add(2)
    run.steps()
    assert (run.text[1], run.text[2]) == ("The horse ran ", "The horse ran over the hill END now")


def test_a_prompt_that_was_seen_before_is_not_computed_again(script: Path) -> None:
    prompt = [*PROMPT, *range(FIRST_BYTE, FIRST_BYTE + 60)]
    run = Run(engine_on(script))
    run.add(1, prompt)
    run.steps()
    second = run.add(2, prompt)
    run.steps()
    assert second.cached == len(prompt) - 1
    assert run.text[1] == run.text[2]


def _prompts(count: int) -> list[list[int]]:
    return [[1, *(300 + 7 * number + 3 * place for place in range(5 + 9 * number))] for number in range(count)]


def test_greedy_sequences_side_by_side_say_what_each_says_alone() -> None:
    alone = Run(engine_on(CRIA, slots=8))
    for number, prompt in enumerate(_prompts(8)):
        alone.add(number, prompt, predict=24)
        alone.steps()
    together = Run(engine_on(CRIA, slots=8))
    for number, prompt in enumerate(_prompts(8)):
        together.add(number, prompt, predict=24)
        together.steps(number)
    together.steps()
    assert together.text == alone.text


@pytest.mark.parametrize("seed", range(4))
def test_a_seeded_request_that_is_resumed_elsewhere_says_the_same(seed: int) -> None:
    sampling = SamplingParams(temperature=1.0, top_k=0, top_p=0.95, seed=seed)
    prompt = _prompts(1)[0]
    whole = Run(engine_on(CRIA))
    first = whole.add(1, prompt, predict=30, sampling=sampling)
    whole.steps()
    half = first.generated // 2
    rest = Run(engine_on(CRIA))
    second = rest.add(1, first.tokens[: len(prompt) + half], predict=30, sampling=sampling, resumed=half)
    rest.steps()
    assert second.tokens == first.tokens


def test_a_request_that_cannot_be_prepared_ends_alone(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Grammars, "_begin", fail)
    run = Run(engine_on(script))
    run.add(1)
    run.add(2, grammar='start: "x"')
    while run.engine.busy:
        run.steps(1)
    assert (run.finish(2), run.sequences[2].error) == (FinishReason.ERROR, "the request could not be prepared")
    assert run.text[1].endswith("now")


def test_a_grammar_that_fails_midway_is_an_error_and_no_end(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Constraint, "failure", "too many items")
    run = Run(engine_on(script))
    run.add(1, grammar="start: /.*/")
    while run.engine.busy:
        run.steps(1)
    sequence = run.sequences[1]
    assert (run.finish(1), sequence.error, sequence.invalid) == (FinishReason.ERROR, "too many items", True)


@pytest.mark.parametrize(
    ("grammar", "optional_first_token", "text"),
    [
        ('start: "yyy" | "zzz"', None, "yyy"),
        ('start: "yyy" | "zzz"', FIRST_BYTE + ord("y"), "zzz"),  # the model would begin with neither
        ('start: "The" | "zzz"', FIRST_WORD, "The"),  # the model begins with it by itself
    ],
)
def test_what_a_model_may_begin_with_of_its_optional_first_token_is_never_forced_on_it(
    script: Path, grammar: str, optional_first_token: int | None, text: str
) -> None:
    run = Run(engine_on(script))
    run.add(1, grammar=f"%llguidance {{}}\n{grammar}", optional_first_token=optional_first_token)
    while run.engine.busy:
        run.steps(1)
    assert run.text[1] == text
