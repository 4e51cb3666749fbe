"""Which rows a step computes."""

from hypothesis import given
from hypothesis import strategies as st

from workers.engine.batch import plan_step
from workers.engine.pace import Pace
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import FinishReason, Sequence, SequenceKey


def sequence_at(slot: int, *, prompt: int, decoding: bool, computed: int = 0) -> Sequence:
    sequence = Sequence(SequenceKey(slot, 0), "gateway", [1] * prompt, SamplingParams(), 10)
    sequence.slot, sequence.computed = slot, min(computed, prompt - 1)
    if decoding:
        sequence.computed = prompt
        sequence.append(2)
    return sequence


@st.composite
def running(draw: st.DrawFn) -> list[Sequence]:
    slots = sorted(draw(st.sets(st.integers(0, 31), max_size=12)))
    return [
        sequence_at(
            slot, prompt=draw(st.integers(1, 300)), decoding=draw(st.booleans()), computed=draw(st.integers(0, 299))
        )
        for slot in slots
    ]


@given(running(), st.integers(12, 512), st.integers(1, 256))
def test_a_plan_keeps_its_bounds(sequences: list[Sequence], batch: int, chunk: int) -> None:
    plan = plan_step(sequences, batch, chunk)
    decoding = [sequence for sequence in sequences if sequence.decoding]
    prompt_rows = len(plan.tokens) - len(decoding)
    assert len(plan.tokens) <= batch
    assert not decoding or prompt_rows <= chunk
    assert len(plan.tokens) == len(plan.positions) == len(plan.sequences) == len(plan.wants_logits)


@given(running(), st.integers(12, 512), st.integers(1, 256))
def test_every_decoding_sequence_gets_its_row_and_rows_ascend(
    sequences: list[Sequence], batch: int, chunk: int
) -> None:
    plan = plan_step(sequences, batch, chunk)
    decoding = {sequence.slot for sequence in sequences if sequence.decoding}
    assert decoding <= set(plan.sequences)
    rows = list(zip(plan.sequences, plan.positions, strict=True))
    assert rows == sorted(set(rows))


@given(running(), st.integers(12, 512), st.integers(1, 256))
def test_only_sequences_whose_tokens_are_all_computed_are_sampled(
    sequences: list[Sequence], batch: int, chunk: int
) -> None:
    plan = plan_step(sequences, batch, chunk)
    assert sum(plan.wants_logits) == len(plan.sampled)
    plan.advance()
    assert [sequence for sequence in sequences if sequence.pending == 0] == plan.sampled


@given(running(), st.integers(12, 512), st.integers(1, 256))
def test_repeated_steps_compute_every_prompt(sequences: list[Sequence], batch: int, chunk: int) -> None:
    for _ in range(12 * 300):
        if all(sequence.decoding for sequence in sequences):
            break
        plan = plan_step(sequences, batch, chunk)
        assert plan.tokens
        plan.advance()
        for sequence in plan.sampled:
            sequence.end(FinishReason.STOP)
        sequences = [sequence for sequence in sequences if sequence.finish is None]
    assert not sequences or all(sequence.decoding for sequence in sequences)


def test_of_several_prompts_the_first_that_came_is_computed_first() -> None:
    early, late = sequence_at(1, prompt=30, decoding=False), sequence_at(0, prompt=30, decoding=False)
    early.timings.prefill_began, late.timings.prefill_began = 1, 2
    stream = sequence_at(2, prompt=5, decoding=True)

    plan = plan_step([late, early, stream], 512, 40)

    assert [(sequence.slot, count) for sequence, count in plan.chunks] == [(0, 10), (1, 30), (2, 1)]
    assert plan.sampled == [early, stream]


def test_a_chunk_keeps_the_gap_of_streams_and_grows_with_the_prompts_that_wait() -> None:
    pace = Pace(max_gap=3.0, max_chunk=512)
    pace.observe(10_000_000, decoded=8, prefilled=0)
    pace.observe(110_000_000, decoded=8, prefilled=100)  # a millisecond for each prompt token

    assert pace.chunk(decoding=8, prompts=1) == 20
    assert pace.chunk(decoding=8, prompts=16) == 230
    assert pace.chunk(decoding=8, prompts=100) == 512


def test_a_step_of_more_streams_than_were_measured_counts_as_longer() -> None:
    pace = Pace(max_gap=3.0, max_chunk=512)
    pace.observe(10_000_000, decoded=4, prefilled=0)
    pace.observe(50_000_000, decoded=0, prefilled=50)

    assert pace.chunk(decoding=16, prompts=1) == 4 * pace.chunk(decoding=4, prompts=1)
    assert pace.chunk(decoding=2, prompts=1) == pace.chunk(decoding=4, prompts=1)
