"""An engine on a real context, and what comes out of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from support.scripted import PROMPT
from workers.engine.context import Context, ContextOptions
from workers.engine.drafting.model import DraftModel
from workers.engine.engine import Engine, EngineOptions
from workers.engine.model import Model, ModelOptions
from workers.engine.parking import Parking
from workers.engine.pieces import Piece
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import FinishReason, Sequence, SequenceKey

GREEDY = SamplingParams(temperature=0)
STEPS = 2000
"""More than any test here needs: an engine that is busy for ever fails its test instead of hanging it."""
PATIENT = 1e9
"""A `max_gap` with which prompts come in whole chunks, however long the steps take."""
IDLE_SECONDS = 0.001
"""Between two looks for what another thread prepares, as a worker polls in between."""


@dataclass
class Run:
    """What came out of an engine, sequence by sequence."""

    engine: Engine
    text: dict[int, str] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    sequences: dict[int, Sequence] = field(default_factory=dict)
    _meanwhile: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.engine.bind(self._take)

    def add(self, number: int, prompt: list[int] | None = None, *, predict: int = 100, **more: object) -> Sequence:
        sequence = Sequence(
            SequenceKey(number, 0),
            "gateway",
            PROMPT if prompt is None else prompt,
            **{"sampling": GREEDY, "num_predict": predict, **more},  # pyright: ignore[reportArgumentType]
        )
        self.sequences[number], self.text[number] = sequence, ""
        self.engine.add(sequence)
        return sequence

    def say(self, prompt: list[int], *, predict: int = 100, **more: object) -> tuple[Sequence, str]:
        """Runs one more request to its end; the sequence and its text."""
        number = max(self.sequences, default=-1) + 1
        sequence = self.add(number, prompt, predict=predict, **more)
        self.steps()
        return sequence, self.text[number]

    def steps(self, count: int = STEPS, meanwhile: Callable[[], None] | None = None) -> "Run":
        """Runs until nothing is left to do, `count` steps at most; `meanwhile` is called while each step computes."""
        self._meanwhile = meanwhile
        for _ in range(count):
            if not self.engine.busy:
                break
            if not self.engine.step():
                time.sleep(IDLE_SECONDS)
        return self

    def _take(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            number = piece.request.key.request_id
            assert number not in self.ended, "a piece after the last one"
            self.text[number] += piece.text
            if piece.ended:
                self.ended.append(number)
        if self._meanwhile is not None:
            self._meanwhile()

    def finish(self, number: int) -> FinishReason | None:
        return self.sequences[number].finish if number in self.ended else None


def engine_on(
    path: Path,
    *,
    slots: int = 2,
    num_ctx: int = 256,
    chunk: int = 64,
    batch: int = 128,
    shared_cells: int = 0,
    exact: bool = False,
    parking: Parking | None = None,
    checkpoint_interval: int = 1024,
    draft_tokens: int = 0,
    draft_model: Path | None = None,
    adapters_kept: int = 16,
) -> Engine:
    """`exact`: no number is rounded to half the precision, so that the order in which cells are added up makes no
    difference. `draft_tokens` are also the rows of drafts, for each slot."""
    model = Model(ModelOptions(str(path)), lambda _: None)
    rows = draft_tokens * slots
    context_options = ContextOptions(
        slots,
        num_ctx,
        batch,
        threads=1,
        shared_cells=shared_cells,
        draft_rows=rows,
        flash_attention=False if exact else None,
        kv_cache_type="f32" if exact else "f16",
    )
    draft = None
    if draft_model is not None:
        small = Context(Model(ModelOptions(str(draft_model)), lambda _: None), ContextOptions(slots, num_ctx, 128, 1))
        draft = DraftModel(small, slots, model.vocabulary.size)
    options = EngineOptions(
        slots,
        num_ctx,
        chunk,
        PATIENT,
        draft_tokens=draft_tokens,
        draft_rows=rows,
        checkpoint_interval=checkpoint_interval,
        adapters_kept=adapters_kept,
    )
    return Engine(model, Context(model, context_options), options, parking=parking, draft=draft)
