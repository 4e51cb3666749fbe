"""Adapters are loaded beside the steps, stay as long as somebody needs them, and fail alone."""

import os
from pathlib import Path

import pytest
from support.engine_run import Run, engine_on
from support.lora_models import write_random_adapter
from support.paths import CRIA
from support.serving import until

from workers.engine.sequence import FinishReason

TEXT = [1, *range(300, 320)]


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("adapters")
    return [str(write_random_adapter(folder / f"{seed}.lora", CRIA, seed=seed)) for seed in range(4)]


def say(run: Run, *paths: str) -> list[int]:
    return run.say(TEXT, predict=8, adapters=paths)[0].tokens


def test_nobody_waits_for_the_file_of_another(tmp_path: Path) -> None:
    slow = tmp_path / "slow.lora"
    os.mkfifo(slow)  # to open it takes until somebody writes to it
    run = Run(engine_on(CRIA))
    waiting = run.add(0, TEXT, predict=8, adapters=(str(slow),))
    run.add(1, TEXT, predict=8)
    run.steps(100)
    assert run.ended == [1]
    assert (waiting.slot, waiting.finish) == (-1, None)

    slow.open("wb").close()
    run.steps()
    assert (waiting.finish, waiting.invalid) == (FinishReason.ERROR, False)
    assert waiting.error.startswith("llama.cpp could not load the adapter")


def test_a_file_that_failed_is_tried_again(tmp_path: Path, adapters: list[str]) -> None:
    path = tmp_path / "late.lora"
    path.write_bytes(b"no adapter")
    run = Run(engine_on(CRIA))
    failed, _ = run.say(TEXT, adapters=(str(path),))
    path.write_bytes(Path(adapters[0]).read_bytes())
    assert failed.finish is FinishReason.ERROR
    assert say(run, str(path)) == say(run, adapters[0])


def test_what_is_not_kept_is_loaded_again(adapters: list[str]) -> None:
    few, many = Run(engine_on(CRIA, adapters_kept=1)), Run(engine_on(CRIA))
    turns = [(), adapters[:1], adapters[1:2], adapters[:2], adapters[2:4], adapters[:1], (), adapters[3:]] * 2
    for paths in turns:
        assert say(few, *paths) == say(many, *paths)
    assert len(few.engine._adapters._loaded) <= 2  # one kept, one applied
    assert len(many.engine._adapters._loaded) == 4


def test_a_request_that_leaves_while_its_adapter_loads_leaves_nothing_behind(
    tmp_path: Path, adapters: list[str]
) -> None:
    slow = tmp_path / "slow.lora"
    os.mkfifo(slow)
    run = Run(engine_on(CRIA, adapters_kept=0))
    waiting, behind = (run.add(number, TEXT, adapters=(path,)) for number, path in enumerate((str(slow), adapters[0])))
    until(run.engine._adapters._loaded[str(slow)].running)
    for sequence in (waiting, behind):
        run.engine.cancel(sequence.key)
    run.steps()
    assert sorted(run.ended) == [0, 1]

    slow.open("wb").close()
    assert say(run, adapters[2])
    assert list(run.engine._adapters._loaded) == [adapters[2]]
