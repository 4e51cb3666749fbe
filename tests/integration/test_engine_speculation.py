"""Drafts change how fast tokens come, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.engine_run import Run, engine_on
from support.memory_models import write_windowed
from support.paths import CRIA
from support.scripted import FIRST_WORD, PROMPT, write_scripted_model

from workers.engine.batch import Batch
from workers.engine.context import Context, ContextOptions
from workers.engine.drafting.model import DraftModel
from workers.engine.grammar import Grammars
from workers.engine.model import Model, ModelOptions
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import FinishReason, Sequence, SequenceKey

LINES = "the red fox saw one dog and then it ran on"
PROMPTS = [[1, *(300 + 7 * number + 3 * place for place in range(12))] * 2 for number in range(4)]
"""Each says the same twice, so that there is something to find."""


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripted_model(tmp_path_factory.mktemp("model") / "endless.gguf", LINES, for_ever=True)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripted_model(tmp_path_factory.mktemp("model") / "script.gguf", LINES)


def test_a_text_that_repeats_itself_takes_fewer_steps(endless: Path) -> None:
    run = Run(engine_on(endless, draft_tokens=4))
    sequence, text = run.say(PROMPT, predict=120)
    counters = run.engine.counters
    assert text == LINES * (120 // len(LINES.split())) + LINES[: len(text) % len(LINES)]
    assert (sequence.generated, counters.decode_tokens) == (120, 120)
    assert counters.accepted_tokens > 0
    assert counters.decode_steps < 120 + 1


@pytest.mark.parametrize("sampling", [SamplingParams(temperature=0), SamplingParams(temperature=1.0, top_k=3, seed=5)])
def test_what_is_said_does_not_depend_on_drafts(sampling: SamplingParams) -> None:
    plain, drafting = Run(engine_on(CRIA, slots=4)), Run(engine_on(CRIA, slots=4, draft_tokens=4))
    for run in (plain, drafting):
        for number, prompt in enumerate(PROMPTS):
            run.add(number, prompt, predict=60, sampling=sampling)
        run.steps()
    assert drafting.text == plain.text
    assert drafting.engine.counters.drafted_tokens > 0


def test_penalties_see_the_tokens_of_the_draft(endless: Path) -> None:
    sampling = SamplingParams(temperature=0, repeat_penalty=1.3, repeat_last_n=24)
    texts = [
        Run(engine_on(endless, draft_tokens=draft)).say(PROMPT, predict=80, sampling=sampling)[1] for draft in (0, 4)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("predict", range(30, 38))
def test_num_predict_is_kept_to_the_token(endless: Path, predict: int) -> None:
    run = Run(engine_on(endless, draft_tokens=8))
    sequence, text = run.say(PROMPT, predict=predict)
    assert (sequence.generated, run.finish(0)) == (predict, FinishReason.LENGTH)
    assert len(text.replace(LINES, "x " * len(LINES.split())).split()) == predict


def test_a_stop_string_within_a_draft_ends_the_text_and_its_tokens(endless: Path) -> None:
    run = Run(engine_on(endless, draft_tokens=8))
    run.say(PROMPT, predict=60)
    sequence, text = run.say(PROMPT, predict=200, stop=("on" + LINES + "the red fox saw",))
    assert (text, run.finish(1)) == (LINES.removesuffix("on"), FinishReason.STOP)
    assert sequence.generated == 2 * len(LINES.split()) + 4


def test_a_full_context_ends_a_drafting_sequence_where_it_ends_any_other(endless: Path) -> None:
    run = Run(engine_on(endless, draft_tokens=8, num_ctx=256))
    sequence, _ = run.say(PROMPT, predict=-1)
    assert (run.finish(0), len(sequence.tokens)) == (FinishReason.LENGTH, 257)


def test_a_context_shift_goes_on_drafting(endless: Path) -> None:
    run = Run(engine_on(endless, draft_tokens=8, num_ctx=256))
    _, text = run.say(PROMPT, predict=600, shift=True, num_keep=2)
    words = len(LINES.split())
    assert text.startswith(LINES * (600 // words))


def test_a_request_can_do_without_drafts(endless: Path) -> None:
    run = Run(engine_on(endless, draft_tokens=8))
    run.say(PROMPT, predict=60, draft_tokens=0)
    assert run.engine.counters.drafted_tokens == 0


def test_nothing_is_drafted_where_each_draw_changes_the_next(endless: Path) -> None:
    run = Run(engine_on(endless, draft_tokens=4))
    run.say(PROMPT, predict=80, sampling=SamplingParams(temperature=0.1, mirostat=2))
    assert run.engine.counters.drafted_tokens == 0


def test_log_probabilities_are_told_for_every_token_of_a_draft(endless: Path) -> None:
    run, tokens = Run(engine_on(endless, draft_tokens=4)), list[int]()
    run.engine.bind(lambda pieces: tokens.extend(one.picked.token for piece in pieces for one in piece.logprobs))
    run.add(1, predict=60, logprobs=2)
    while run.engine.busy:
        run.engine.step()
    assert tokens == run.sequences[1].tokens[len(PROMPT) :]


def test_a_small_model_drafts_for_a_large_one(script: Path) -> None:
    run = Run(engine_on(script, draft_tokens=4, draft_model=script))
    _, text = run.say(PROMPT)
    assert text == LINES
    assert run.engine.counters.accepted_tokens == run.engine.counters.drafted_tokens > 0


def test_a_small_model_that_is_wrong_does_no_harm(script: Path, tmp_path: Path) -> None:
    other = write_scripted_model(tmp_path / "other.gguf", " ".join(reversed(LINES.split())))
    run = Run(engine_on(script, slots=3, draft_tokens=4, draft_model=other))
    for number in range(5):
        run.add(number)
    run.steps()
    assert set(run.text.values()) == {LINES}


@dataclass
class Watched:
    """A small model that counts the tokens of each of its decodes."""

    drafter: DraftModel
    decoded: list[int] = field(default_factory=list[int])

    def draft(self, *sequences: Sequence, room: int = 512) -> list[list[int]]:
        for sequence in sequences:
            sequence.draft = []
        if ready := self.drafter.catch_up(list(sequences), room):
            self.drafter.draft(ready, [3] * len(ready))
        return [sequence.draft for sequence in sequences]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Watched]:
    def watched(path: Path) -> Watched:
        context = Context(Model(ModelOptions(str(path)), lambda _: None), ContextOptions(3, 1024, 256, threads=1))
        result, decode = Watched(DraftModel(context, 3, context.logits(0).shape[1])), context.decode

        def counted(batch: Batch) -> int:
            result.decoded.append(batch.struct.n_tokens)
            return decode(batch)

        monkeypatch.setattr(context, "decode", counted)
        return result

    return watched


def sequence_in(slot: int, tokens: list[int]) -> Sequence:
    sequence = Sequence(SequenceKey(slot, 0), "gateway", tokens, SamplingParams(), 100)
    sequence.slot = slot
    return sequence


def test_a_small_model_catches_up_as_streams_can_wait_for_it(watch: Callable[[Path], Watched]) -> None:
    small, sequence = watch(CRIA), sequence_in(0, list(range(300, 400)))
    assert [small.draft(sequence, room=40) for _ in range(2)] == [[[]], [[]]]
    assert len(small.draft(sequence, room=40)[0]) == 3
    assert small.decoded == [40, 40, 19, 1, 1, 1]
    assert small.drafter.token_cost > 0


def test_a_newcomer_keeps_nobody_from_drafting(watch: Callable[[Path], Watched]) -> None:
    small = watch(CRIA)
    newcomer, known = sequence_in(0, list(range(300, 500))), sequence_in(1, list(range(600, 620)))
    small.draft(known)
    for length in (0, 0, 3):
        assert [len(draft) for draft in small.draft(newcomer, known, room=80)] == [length, 3]


def test_a_small_model_computes_what_prompts_share_once(watch: Callable[[Path], Watched]) -> None:
    small, shared = watch(CRIA), list(range(300, 450))
    prompts = [[*shared, 500 + slot, 7] for slot in range(3)]
    drafts = [small.draft(sequence_in(slot, prompt)) for slot, prompt in enumerate(prompts)]
    assert small.decoded == [151, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert drafts[1:] == [small.draft(sequence_in(0, prompt)) for prompt in prompts[1:]]


def test_a_small_model_with_a_window_copies_nothing_that_it_cannot_cut(
    watch: Callable[[Path], Watched], tmp_path: Path
) -> None:
    small = watch(write_windowed(tmp_path / "windowed.gguf"))
    shared, rest = [3 + 7 * n % 200 for n in range(200)], [3 + 11 * n % 190 for n in range(600)]
    while not small.draft(sequence_in(0, shared + rest))[0]:
        pass
    small.decoded.clear()
    prompt = sequence_in(1, [*shared, 5, 6, 7, 8])
    assert [len(small.draft(prompt, room=64)[0]) for _ in range(4)] == [0, 0, 0, 3]
    assert small.decoded == [64, 64, 64, 11, 1, 1, 1]


def test_what_a_grammar_leaves_no_choice_about_is_drafted() -> None:
    grammar = '%llguidance {}\nstart: "{\\"name\\": \\"the horse\\", \\"colour\\": " /[a-z]{2,6}/ "}"'
    texts = list[str]()
    for draft in (0, 8):
        run = Run(engine_on(CRIA, draft_tokens=draft))
        for number in range(2):
            run.add(number, PROMPTS[number], predict=80, grammar=grammar)
            while run.engine.busy:  # the grammar is compiled in a thread, however long that takes
                run.steps(1)
        texts.append(run.text[1])
    assert run.engine.counters.accepted_tokens > 0
    assert texts[0].startswith('{"name": "the horse", "colour": ')
    assert texts[1] == texts[0]


def test_the_masks_after_a_draft_are_those_of_its_tokens_one_by_one() -> None:
    model = Model(ModelOptions(str(CRIA)), lambda _: None)
    constraint = Grammars(model.vocabulary).compile('%llguidance {}\nstart: /[0-9]{3}/ "!"').result()
    digits = [token for token in range(model.vocabulary.size) if model.vocabulary.piece(token) in (b"1", b"2", b"3")]
    constraint.compute_masks(digits[:3])
    constraint.compute_masks([digits[0], FIRST_WORD])
    for token in digits[:3]:
        constraint.compute_masks([])
        constraint.accept(token)
    assert not constraint.complete
