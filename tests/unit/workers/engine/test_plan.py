"""Which rows a step computes."""

from hypothesis import given
from hypothesis import strategies as st

from workers.engine.plan import plan_decodes, plan_prompts
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import Sequence, SequenceKey


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


def decoding_of(sequences: list[Sequence]) -> list[Sequence]:
    return [sequence for sequence in sequences if sequence.decoding]


def prefilling_of(sequences: list[Sequence]) -> list[Sequence]:
    return [sequence for sequence in sequences if not sequence.decoding]


@given(running(), st.integers(1, 512))
def test_a_plan_of_prompts_keeps_its_bounds_and_uses_them(sequences: list[Sequence], room: int) -> None:
    prefilling = prefilling_of(sequences)
    plan = plan_prompts(prefilling, room)
    assert len(plan.tokens) == min(room, sum(sequence.pending for sequence in prefilling))
    assert len(plan.tokens) == len(plan.positions) == len(plan.sequences) == len(plan.wants_logits)


@given(running(), st.integers(0, 4))
def test_every_decoding_sequence_gets_its_row_and_those_of_its_draft(sequences: list[Sequence], ahead: int) -> None:
    decoding = decoding_of(sequences)
    for sequence in decoding[::2]:
        sequence.draft = [7] * ahead
    plan = plan_decodes(decoding)
    assert [(s.sequence, s.ahead) for s in plan.samples] == [
        (sequence, i) for sequence in decoding for i in range(len(sequence.draft) + 1)
    ]
    assert plan.wants_logits == [1] * len(plan.tokens)
    plan.advance()
    assert all(sequence.pending == 0 for sequence in decoding)


@given(running(), st.integers(1, 512))
def test_rows_ascend_by_slot_and_position(sequences: list[Sequence], room: int) -> None:
    for plan in (plan_decodes(decoding_of(sequences)), plan_prompts(prefilling_of(sequences), room)):
        rows = list(zip(plan.sequences, plan.positions, strict=True))
        assert rows == sorted(set(rows))


@given(running(), st.integers(1, 512))
def test_only_sequences_whose_tokens_are_all_computed_are_sampled(sequences: list[Sequence], room: int) -> None:
    plan = plan_prompts(prefilling_of(sequences), room)
    assert sum(plan.wants_logits) == len(plan.samples)
    plan.advance()
    assert [sequence for sequence in sequences if sequence.pending == 0] == [s.sequence for s in plan.samples]


@given(running(), st.integers(1, 512))
def test_repeated_steps_compute_every_prompt(sequences: list[Sequence], room: int) -> None:
    prefilling = prefilling_of(sequences)
    steps = -(-sum(sequence.pending for sequence in prefilling) // room)
    for _ in range(steps):
        plan_prompts([sequence for sequence in prefilling if sequence.pending], room).advance()
    assert not any(sequence.pending for sequence in prefilling)


def test_of_several_prompts_the_first_that_came_is_computed_first() -> None:
    early, late = sequence_at(1, prompt=30, decoding=False), sequence_at(0, prompt=30, decoding=False)
    early.timings.prefill_began, late.timings.prefill_began = 1, 2

    plan = plan_prompts([late, early], 40)

    assert [(sequence.slot, count) for sequence, count in plan.chunks] == [(0, 10), (1, 30)]
    assert [sample.sequence for sample in plan.samples] == [early]


def test_a_chunk_ends_where_a_state_is_to_be_kept() -> None:
    sequence = sequence_at(0, prompt=100, decoding=False)
    sequence.checkpoints = [20, 96]
    sizes = list[int]()
    while sequence.pending:
        plan = plan_prompts([sequence], 64)
        plan.advance()
        sizes.append(plan.chunk_tokens)
    assert sizes == [20, 64, 12, 4]
