"""Drafts by a model's own heads, and drafts for models whose state has to go back: what is said stays the same."""

from pathlib import Path

import pytest
from support.engine_run import GREEDY, PATIENT, Run
from support.mtp_models import write_attention_with_head, write_recurrent_with_head
from support.paths import CRIA

from workers.engine.context import Context, ContextOptions
from workers.engine.drafting import speculation
from workers.engine.drafting.gain import Gain
from workers.engine.drafting.heads import Heads
from workers.engine.drafting.heads_file import has_heads
from workers.engine.engine import Engine, EngineOptions
from workers.engine.model import Model, ModelOptions
from workers.engine.parking import Parking
from workers.engine.sampling.params import SamplingParams

NUM_CTX, PREDICT = 512, 60
SEEDED = SamplingParams(temperature=1.0, seed=5)
WRITERS = {"attention": write_attention_with_head, "recurrent": write_recurrent_with_head}


class EveryTime(Gain):
    """Drafts as much as it may, however long that takes: a test must not depend on times."""

    def length(self, streams: int, limit: int) -> int:
        return limit


@pytest.fixture(autouse=True)
def draft_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speculation, "Gain", EveryTime)


@pytest.fixture(scope="module", params=list(WRITERS))
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return WRITERS[request.param](tmp_path_factory.mktemp("models") / f"{request.param}.gguf")


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recurrent_with_head(tmp_path_factory.mktemp("models") / "recurrent.gguf")


def engine(
    path: Path,
    *,
    slots: int = 4,
    draft: int = 4,
    snapshots: int = 4,
    heads: bool = True,
    shared_cells: int = 0,
    parking: Parking | None = None,
) -> Engine:
    """One that drafts with heads, unless `draft` is 0."""
    heads = heads and draft > 0
    model = Model(ModelOptions(str(path), heads=heads), lambda _: None)

    def context(*, heads: bool = False) -> Context:
        return Context(
            model,
            ContextOptions(
                slots,
                NUM_CTX,
                batch_tokens=128,
                threads=1,
                flash_attention=False,
                kv_cache_type="f32",  # so that the order of the cells makes no difference
                shared_cells=shared_cells,
                draft_rows=draft * slots,
                snapshots=snapshots if draft else 0,
                heads=heads,
            ),
        )

    main = context()
    drafter = Heads(context(heads=True), main, slots, model.state_size) if heads else None
    options = EngineOptions(
        slots, NUM_CTX, prefill_chunk=64, max_gap=PATIENT, draft_tokens=draft, draft_rows=draft * slots
    )
    return Engine(model, main, options, parking=parking, draft=drafter)


def prompt_of(number: int, length: int = 40) -> list[int]:
    return [3 + (41 * number + 7 * place) % 256 for place in range(length)]


def tokens_of(run: Run) -> dict[int, list[int]]:
    return {number: sequence.tokens for number, sequence in run.sequences.items()}


@pytest.mark.parametrize("sampling", [GREEDY, SEEDED], ids=["greedy", "seeded"])
def test_what_is_said_does_not_depend_on_heads(path: Path, sampling: SamplingParams) -> None:
    plain, drafting = Run(engine(path, draft=0)), Run(engine(path))
    for run in (plain, drafting):
        for number in range(6):
            run.add(number, prompt_of(number, 20 + 30 * number), predict=PREDICT, sampling=sampling)
        run.steps()
    counters = drafting.engine.counters
    assert tokens_of(drafting) == tokens_of(plain)
    assert 0 < counters.accepted_tokens < counters.drafted_tokens


def test_heads_save_steps(path: Path) -> None:
    run = Run(engine(path))
    run.say(prompt_of(0), predict=PREDICT)
    counters = run.engine.counters
    assert counters.accepted_tokens > 0.7 * counters.drafted_tokens
    assert counters.decode_steps < PREDICT / 2


def test_heads_go_on_where_a_conversation_does(path: Path) -> None:
    plain, drafting = Run(engine(path, draft=0)), Run(engine(path))
    for run in (plain, drafting):
        first, _ = run.say(prompt_of(0), predict=30)
        second, _ = run.say([*first.tokens, *prompt_of(1, 9)], predict=PREDICT)
        assert second.cached >= len(first.tokens) - 1
    assert tokens_of(drafting) == tokens_of(plain)
    assert drafting.engine.counters.accepted_tokens > PREDICT / 2


def test_what_begins_like_a_running_sequence_is_followed_from_its_cells(path: Path) -> None:
    plain, drafting = Run(engine(path, draft=0)), Run(engine(path))
    for run in (plain, drafting):
        run.add(0, prompt_of(0, 120), predict=PREDICT)
        run.steps(6)
        run.add(1, [*prompt_of(0, 120), *prompt_of(1, 8)], predict=PREDICT)
        run.steps()
    assert tokens_of(drafting) == tokens_of(plain)
    assert drafting.engine.counters.accepted_tokens > PREDICT / 2


def test_heads_that_miss_the_beginning_of_a_parked_sequence_do_no_harm(path: Path) -> None:
    engines = [engine(path, slots=1, draft=draft, parking=Parking(10**8)) for draft in (0, 4)]
    plain, drafting = Run(engines[0]), Run(engines[1])
    for run in (plain, drafting):
        prompt = prompt_of(0, 200)
        run.say(prompt, predict=20)
        run.say(prompt_of(1, 200), predict=20)
        again, _ = run.say([*prompt, *prompt_of(2, 8)], predict=PREDICT)
        assert again.cached > 100
    assert tokens_of(drafting) == tokens_of(plain)
    assert drafting.engine.counters.accepted_tokens > PREDICT / 2


def test_a_sequence_that_moves_to_another_slot_goes_on_drafting(path: Path) -> None:
    plain, drafting = Run(engine(path, draft=0)), Run(engine(path))
    moved = False
    for run in (plain, drafting):
        for number, predict in enumerate((200, 5, 5, 200)):
            run.add(number, prompt_of(number), predict=predict, sampling=SEEDED)
        while run.engine.busy:
            run.steps(1)
            moved = moved or run.sequences[3].slot == 1
    assert moved
    assert tokens_of(drafting) == tokens_of(plain)
    assert drafting.engine.counters.accepted_tokens > 0


def test_sequences_that_run_out_of_shared_cells_say_what_they_say_alone(path: Path) -> None:
    run = Run(engine(path, shared_cells=512, parking=Parking(10**8)))
    for number in range(4):
        run.add(number, prompt_of(number, 60), predict=120)
    run.steps()
    alone = [Run(engine(path, slots=1, draft=0)).say(prompt_of(number, 60), predict=120)[0] for number in range(4)]
    assert [run.sequences[number].tokens for number in range(4)] == [sequence.tokens for sequence in alone]
    assert run.engine.counters.accepted_tokens > 0
    assert run.engine.counters.preemptions > 0


def test_a_request_can_do_without_heads(path: Path) -> None:
    run = Run(engine(path))
    run.say(prompt_of(0), predict=PREDICT, draft_tokens=0)
    assert run.engine.counters.drafted_tokens == 0
    run.say(prompt_of(1), predict=PREDICT)
    assert run.engine.counters.accepted_tokens > 0


def test_a_model_with_recurrent_layers_drafts_no_further_than_it_can_go_back(recurrent: Path) -> None:
    run = Run(engine(recurrent, draft=8, snapshots=2))
    sequence = run.add(0, prompt_of(0), predict=PREDICT)
    longest = 0

    def look() -> None:
        nonlocal longest
        longest = max(longest, len(sequence.draft))

    run.steps(meanwhile=look)
    assert longest == 2


@pytest.mark.parametrize("sampling", [GREEDY, SEEDED], ids=["greedy", "seeded"])
def test_repeats_are_drafted_for_a_model_with_recurrent_layers(recurrent: Path, sampling: SamplingParams) -> None:
    counting = [*range(3, 259)]
    plain, drafting = Run(engine(recurrent, draft=0)), Run(engine(recurrent, heads=False))
    for run in (plain, drafting):
        for number in range(3):
            run.add(number, [*counting, *prompt_of(number)], predict=PREDICT, sampling=sampling)
        run.steps()
    assert tokens_of(drafting) == tokens_of(plain)
    assert drafting.engine.counters.accepted_tokens > 0


def test_without_snapshots_nothing_is_drafted_for_a_model_with_recurrent_layers(recurrent: Path) -> None:
    run = Run(engine(recurrent, snapshots=0))
    run.say(prompt_of(0), predict=PREDICT)
    assert run.engine.counters.drafted_tokens == 0


def test_heads_are_looked_for_in_the_file(path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(path.read_bytes()[:1000])
    assert has_heads([str(path)])
    assert not has_heads([str(CRIA)])
    assert not has_heads([str(write_attention_with_head(tmp_path / "trunk.gguf", with_head=False))])
    assert not has_heads([str(broken)])
    assert not has_heads([str(tmp_path / "missing.gguf")])
