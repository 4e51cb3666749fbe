"""A prompt that nobody wants any more stops computing at once, in the middle of its step."""

from pathlib import Path

import numpy as np
import pytest
from support.byte_vocabulary import PIECES
from support.engine_run import Run, engine_on
from support.memory_models import write_hybrid, write_plain, write_recurrent, write_windowed
from support.paths import CRIA

from workers.engine.engine import Engine
from workers.engine.parking import Parking
from workers.engine.sequence import FinishReason, SequenceKey

LONG = 2000
KINDS = {"plain": write_plain, "windowed": write_windowed, "recurrent": write_recurrent, "hybrid": write_hybrid}


def prompt_of(seed: int, length: int) -> list[int]:
    return [1, *np.random.default_rng(seed).integers(3, len(PIECES), length - 1).tolist()]


@pytest.fixture(scope="module", params=[*KINDS, "cria"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    write = KINDS.get(request.param)
    return CRIA if write is None else write(tmp_path_factory.mktemp("models") / "model.gguf")


def engine(path: Path) -> Engine:
    return engine_on(path, num_ctx=2048, batch=LONG, chunk=LONG, parking=Parking(10**8), exact=True)


def test_a_long_prompt_that_is_cancelled_leaves_memory_right(path: Path) -> None:
    """Half of it is computed before; the half that is cancelled is not."""
    run = Run(engine(path))
    start = run.add(1, prompt_of(1, 1000), predict=3)
    run.steps()
    prompt = start.tokens + prompt_of(2, 900)
    aborted = run.add(2, prompt)
    run.steps(meanwhile=lambda: run.engine.cancel(SequenceKey(2, 0)))
    assert run.finish(2) is FinishReason.CANCELLED
    assert aborted.generated == 0
    fresh = Run(engine(path))
    for later in (prompt, prompt_of(1, 1000), prompt_of(3, 200)):
        assert run.say(later, predict=8)[0].tokens == fresh.say(later, predict=8)[0].tokens


def test_a_step_is_aborted_where_only_cancelled_sequences_are_in_it() -> None:
    run = Run(engine(CRIA))
    run.add(1, prompt_of(1, LONG))
    run.steps(meanwhile=lambda: run.engine.cancel(SequenceKey(1, 0)))
    assert run.engine.counters.prefill_tokens == 0
    assert (run.finish(1), run.engine.slots_busy) == (FinishReason.CANCELLED, 0)


def test_a_step_goes_on_for_those_who_still_want_it() -> None:
    run = Run(engine(CRIA))
    first, second = run.add(1, prompt_of(1, 500)), run.add(2, prompt_of(2, 500), predict=8)
    run.steps(1, meanwhile=lambda: run.engine.cancel(SequenceKey(1, 0)))
    assert (first.generated, second.generated) == (0, 1)
    run.steps()
    assert second.tokens == Run(engine(CRIA)).say(prompt_of(2, 500), predict=8)[0].tokens
