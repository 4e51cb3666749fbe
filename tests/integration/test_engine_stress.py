"""Whatever comes when, and whoever leaves: every reply is the one that the request gets alone, and nothing is left."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.byte_vocabulary import PIECES
from support.engine_run import Run, engine_on
from support.memory_models import write_hybrid, write_plain, write_recurrent, write_windowed

from workers.engine.parking import Parking
from workers.engine.sequence import FinishReason, SequenceKey

KINDS = {"plain": write_plain, "windowed": write_windowed, "recurrent": write_recurrent, "hybrid": write_hybrid}
NUM_CTX = 256


def prompts() -> list[list[int]]:
    """Some alone, some with a beginning in common, some that go on from others."""
    random = np.random.default_rng(3)

    def text(length: int) -> list[int]:
        return random.integers(3, len(PIECES), length).tolist()

    shared, other = text(90), text(70)
    return [
        text(5),
        text(120),
        shared,
        shared + text(20),
        shared + text(60),
        shared[:40] + text(30),
        other,
        other + text(100),
        text(200),
    ]


PROMPTS = prompts()
PREDICT = [1, 9, 30, 70]


@pytest.fixture(scope="module", params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not a quantised one: it rounds what it computes, so that its replies to nonsense depend on the company."""
    return KINDS[request.param](tmp_path_factory.mktemp("models") / "model.gguf")


@cache
def alone(path: Path, prompt: int) -> list[int]:
    """The tokens of the longest reply to a prompt."""
    run = Run(engine_on(path, slots=1, num_ctx=NUM_CTX, exact=True))
    return run.say(PROMPTS[prompt], predict=max(PREDICT))[0].tokens


@dataclass(frozen=True, slots=True)
class Add:
    """A request comes: the number of its prompt, and how many tokens it wants."""

    prompt: int
    predict: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """A request leaves, if there is one of that number: between two steps, or while one computes."""

    number: int
    while_computing: bool


@dataclass(frozen=True, slots=True)
class Steps:
    """The engine computes some steps."""

    count: int


Action: TypeAlias = Add | Cancel | Steps

additions = st.builds(Add, st.integers(0, len(PROMPTS) - 1), st.sampled_from(PREDICT))
cancellations = st.builds(Cancel, st.integers(0, 30), st.booleans())
steps = st.builds(Steps, st.integers(1, 25))
scripts = st.lists(st.one_of(additions, additions, cancellations, steps, steps), min_size=5, max_size=30)


def play(script: list[Action], run: Run) -> dict[int, int]:
    """Plays a script until nothing is left to do. Returns the prompt of each request, both by their numbers."""
    requests = dict[int, int]()
    for action in script:
        match action:
            case Add(prompt, predict):
                number = len(requests)
                requests[number] = prompt
                run.add(number, PROMPTS[prompt], predict=predict)
            case Cancel(number, while_computing=True):
                key = SequenceKey(number, 0)
                run.steps(1, meanwhile=lambda key=key: run.engine.cancel(key))
            case Cancel(number):
                run.engine.cancel(SequenceKey(number, 0))
            case Steps(count):
                run.steps(count)
    run.steps()
    return requests


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scripts, st.sampled_from([1, 2, 4]), st.booleans(), st.sampled_from([0, 400_000, 10**8]), st.sampled_from([0, 3])
)
def test_every_reply_is_the_one_that_its_request_gets_alone(
    path: Path, script: list[Action], slots: int, shares_cells: bool, parking: int, drafts: int
) -> None:
    engine = engine_on(
        path,
        slots=slots,
        num_ctx=NUM_CTX,
        shared_cells=512 if shares_cells else 0,
        parking=Parking(parking),
        checkpoint_interval=48,
        draft_tokens=drafts,
        exact=True,
    )
    run = Run(engine)
    requests = play(script, run)
    for number, prompt in requests.items():
        sequence, expected = run.sequences[number], alone(path, prompt)
        assert sequence.tokens == expected[: len(sequence.tokens)]
        assert sequence.finish in (FinishReason.LENGTH, FinishReason.STOP, FinishReason.CANCELLED)
        if sequence.finish is FinishReason.LENGTH:
            assert sequence.generated == min(sequence.num_predict, NUM_CTX + 1 - len(sequence.prompt))
    assert sorted(run.ended) == list(requests)
    assert (engine.alive(), engine.waiting, engine.slots_busy, engine.cells_used) == ([], 0, 0, 0)
    assert engine.counters.parked_bytes <= parking
