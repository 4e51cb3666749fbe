"""Sequences that share the cells of one KV cache, when these run out."""

from pathlib import Path

import numpy as np
import pytest
from support.byte_vocabulary import PIECES
from support.engine_run import GREEDY, Run, engine_on
from support.memory_models import write_plain
from support.scripted import FIRST_BYTE, PROMPT, write_scripted_model

from workers.engine.engine import Engine
from workers.engine.parking import Parking
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import FinishReason, SequenceKey

CELLS = 512
PREDICT = 120
SEEDED = SamplingParams(temperature=1.0, seed=7)
STEERED = SamplingParams(temperature=1.0, seed=7, mirostat=2, mirostat_tau=3.0)


def prompt_of(seed: int, length: int) -> list[int]:
    return np.random.default_rng(seed).integers(3, len(PIECES), length).tolist()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plain(tmp_path_factory.mktemp("models") / "plain.gguf")


def engine(path: Path, *, slots: int = 8, num_ctx: int = 512, parking: int = 10**7) -> Engine:
    return engine_on(path, slots=slots, num_ctx=num_ctx, shared_cells=CELLS, parking=Parking(parking), exact=True)


def alone(path: Path, prompt: list[int], *, predict: int = PREDICT, sampling: SamplingParams = GREEDY) -> list[int]:
    """The tokens of a request on an engine that has done nothing else."""
    run = Run(engine_on(path, slots=1, num_ctx=512, exact=True))
    return run.say(prompt, predict=predict, sampling=sampling)[0].tokens


@pytest.mark.parametrize("parking", [0, 10**7])
@pytest.mark.parametrize("sampling", [GREEDY, SEEDED, STEERED], ids=["greedy", "seeded", "mirostat"])
def test_sequences_that_outgrow_the_cells_all_say_what_they_say_alone(
    path: Path, parking: int, sampling: SamplingParams
) -> None:
    run = Run(engine(path, parking=parking))
    prompts = [prompt_of(number, 40 + 5 * number) for number in range(8)]
    for number, prompt in enumerate(prompts):
        run.add(number, prompt, predict=PREDICT, sampling=sampling)
    run.steps()
    assert run.engine.counters.preemptions > 0
    assert [run.sequences[number].tokens for number in range(8)] == [
        alone(path, prompt, sampling=sampling) for prompt in prompts
    ]
    assert {run.finish(number) for number in range(8)} == {FinishReason.LENGTH}
    assert (run.engine.alive(), run.engine.waiting, run.engine.slots_busy) == ([], 0, 0)


def test_a_batch_is_no_longer_than_the_cells(path: Path) -> None:
    run = Run(engine_on(path, slots=6, num_ctx=256, batch=1024, chunk=1024, shared_cells=300, exact=True))
    for number in range(6):
        run.add(number, prompt_of(number, 200), predict=2)
    run.steps()
    assert {run.finish(number) for number in range(6)} == {FinishReason.LENGTH}


def test_the_youngest_gives_way(path: Path) -> None:
    run = Run(engine(path, slots=3))
    for number in range(3):
        run.add(number, prompt_of(number, 100), predict=PREDICT)
        run.steps(3)
    run.steps()
    assert run.engine.counters.preemptions > 0
    assert run.ended == [0, 1, 2]


def test_a_sequence_that_gave_way_goes_on_from_its_parked_state(path: Path) -> None:
    run = Run(engine(path, slots=3))
    for number in range(3):
        run.add(number, prompt_of(number, 100), predict=PREDICT)
    run.steps()
    assert run.engine.counters.preemptions > 0
    assert run.engine.counters.prefill_tokens < 300 + 20 * run.engine.counters.preemptions


def test_sequences_with_the_same_beginning_share_its_cells(path: Path) -> None:
    """Eight prompts of more than a hundred tokens each would not fit."""
    shared = prompt_of(1, 120)
    prompts = [shared + prompt_of(number, 20) for number in range(10, 18)]
    run = Run(engine(path))
    run.add(99, [*shared, 7], predict=30)
    run.steps(2)
    for number, prompt in enumerate(prompts):
        run.add(number, prompt, predict=20)
    run.steps()
    assert [run.sequences[number].tokens for number in range(8)] == [
        alone(path, prompt, predict=20) for prompt in prompts
    ]
    assert [run.sequences[number].cached for number in range(7)] == [120] * 7
    assert run.engine.counters.preemptions == 0


def test_a_prompt_longer_than_all_cells_fails_alone(path: Path) -> None:
    run = Run(engine(path, num_ctx=1024))
    run.add(1, prompt_of(1, 50), predict=60)
    run.add(2, prompt_of(2, 600), predict=10)
    run.add(3, prompt_of(3, 50), predict=60)
    run.steps()
    assert (run.finish(2), run.sequences[2].invalid, run.text[2]) == (FinishReason.ERROR, True, "")
    assert "cells" in run.sequences[2].error
    for number in (1, 3):
        assert run.sequences[number].tokens == alone(path, prompt_of(number, 50), predict=60)
    assert run.say(prompt_of(4, 400), predict=9)[0].tokens == alone(path, prompt_of(4, 400), predict=9)


def test_a_reply_that_fills_all_cells_ends(path: Path) -> None:
    run = Run(engine(path, num_ctx=1024))
    sequence, _ = run.say(prompt_of(1, 100), predict=-1)
    assert sequence.finish is FinishReason.LENGTH
    assert len(sequence.tokens) == CELLS + 1


def test_cells_that_nobody_uses_are_freed_before_anybody_gives_way(path: Path) -> None:
    run = Run(engine(path, slots=4))
    for number in range(3):
        run.say(prompt_of(number, 150), predict=5)
    sequence, _ = run.say(prompt_of(9, 300), predict=100)
    assert sequence.tokens == alone(path, prompt_of(9, 300), predict=100)
    assert run.engine.counters.preemptions == 0
    assert run.say(prompt_of(0, 150), predict=5)[0].cached > 140


def test_a_stop_string_that_is_found_when_the_cells_run_out_ends_its_sequence_for_good(tmp_path: Path) -> None:
    """The text of a step is looked at while the next one computes: here the one that finds no room."""
    words = [f"word{number}" for number in range(60)]
    path = write_scripted_model(tmp_path / "script.gguf", " ".join(words))
    run = Run(engine_on(path, num_ctx=512, shared_cells=CELLS, batch=CELLS))
    filling = [FIRST_BYTE] * (CELLS // 2 - 20 - len(PROMPT))  # room for twenty words of each
    run.add(1, [*PROMPT, *filling], predict=50)
    run.add(2, [*filling, *PROMPT], predict=50, stop=("word20",))
    run.steps()
    assert run.text == {1: " ".join(words[:50]), 2: " ".join(words[:20]) + " "}
    assert (run.engine.alive(), run.engine.waiting, run.engine.slots_busy) == ([], 0, 0)
    assert run.engine.counters.preemptions == 0


def test_a_sequence_that_gave_way_can_be_cancelled_while_it_waits(path: Path) -> None:
    run = Run(engine(path, slots=3))
    for number in range(3):
        run.add(number, prompt_of(number, 140), predict=PREDICT)
    while not run.engine.waiting:
        run.steps(1)
    run.steps(2)
    run.engine.cancel(SequenceKey(2, 0))
    run.steps()
    assert run.finish(2) is FinishReason.CANCELLED
    assert run.engine.waiting == 0
    for number in (0, 1):
        assert run.sequences[number].tokens == alone(path, prompt_of(number, 140))
