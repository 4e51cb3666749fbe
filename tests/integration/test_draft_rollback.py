"""Right and wrong drafts on every kind of memory: the wrong ones leave no trace."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.engine_run import PATIENT, Run
from support.memory_models import WINDOW, write_hybrid, write_plain, write_recurrent, write_windowed
from support.mtp_models import write_recurrent_with_head

from workers.engine.context import Context, ContextOptions
from workers.engine.drafting import speculation
from workers.engine.drafting.gain import Gain
from workers.engine.engine import Engine, EngineOptions
from workers.engine.model import Model, ModelOptions
from workers.engine.plan import Plan
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import Sequence

DRAFT, SLOTS, NUM_CTX, PREDICT = 4, 3, 512, 3 * WINDOW
SAMPLING = SamplingParams(temperature=1.0, seed=11)


class Prophet:
    """Drafts what it knows that will be said, with a wrong token in two of three drafts."""

    token_cost = 0.0

    def __init__(self, replies: dict[int, list[int]]) -> None:
        self._replies = replies

    def catch_up(self, sequences: list[Sequence], room: int) -> list[Sequence]:
        return sequences

    def draft(self, sequences: list[Sequence], limits: list[int]) -> None:
        for sequence, limit in zip(sequences, limits, strict=True):
            begin = len(sequence.tokens)
            draft = self._replies[sequence.key.request_id][begin : begin + limit]
            wrong = begin % 3
            if wrong and wrong <= len(draft):
                draft[wrong - 1] = 3 + (draft[wrong - 1] + 1) % 256
            sequence.draft = draft

    def follow(self, plan: Plan) -> None:
        """It knows already."""


class EveryTime(Gain):
    """Drafts as much as it may, however long that takes."""

    def length(self, streams: int, limit: int) -> int:
        return limit


@pytest.fixture(autouse=True)
def draft_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speculation, "Gain", EveryTime)


def run(path: Path, replies: dict[int, list[int]] | None = None) -> Run:
    """Three sequences to their end, of different lengths; with drafts where the replies are known."""
    draft = DRAFT if replies else 0
    model = Model(ModelOptions(str(path)), lambda _: None)
    context = Context(
        model,
        ContextOptions(
            SLOTS,
            NUM_CTX,
            batch_tokens=64,
            threads=1,
            flash_attention=False,
            kv_cache_type="f32",
            draft_rows=draft * SLOTS,
            snapshots=draft,
        ),
    )
    options = EngineOptions(
        SLOTS, NUM_CTX, prefill_chunk=64, max_gap=PATIENT, draft_tokens=draft, draft_rows=draft * SLOTS
    )
    result = Run(Engine(model, context, options, draft=Prophet(replies) if replies else None))
    for number in range(SLOTS):
        prompt = [3 + (41 * number + 7 * place) % 256 for place in range(20 + 30 * number)]
        result.add(number, prompt, predict=PREDICT + 7 * number, sampling=SAMPLING)
    return result.steps()


def tokens_of(result: Run) -> dict[int, list[int]]:
    return {number: sequence.tokens for number, sequence in result.sequences.items()}


@pytest.mark.parametrize("write", [write_plain, write_windowed, write_hybrid, write_recurrent_with_head])
def test_wrong_drafts_leave_no_trace(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf")
    expected = tokens_of(run(path))
    drafting = run(path, expected)
    counters = drafting.engine.counters
    assert tokens_of(drafting) == expected
    assert 0 < counters.accepted_tokens < counters.drafted_tokens


def test_nothing_is_drafted_for_a_model_that_cannot_go_back(tmp_path: Path) -> None:
    path = write_recurrent(tmp_path / "model.gguf")
    assert run(path, tokens_of(run(path))).engine.counters.drafted_tokens == 0
