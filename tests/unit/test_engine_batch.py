"""Which rows a step computes."""

from hypothesis import given
from hypothesis import strategies as st

from workers.engine.batch import plan_step, share_out
from workers.engine.sampling.params import SamplingParams
from workers.engine.sequence import FinishReason, Sequence, SequenceKey

wishes = st.lists(st.integers(1, 400), max_size=20)


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


@given(wishes, st.integers(0, 1000))
def test_room_is_shared_completely_and_nobody_gets_more_than_wished(wanted: list[int], room: int) -> None:
    shares = share_out(wanted, room)
    assert sum(shares) == min(room, sum(wanted))
    assert all(0 <= share <= wish for share, wish in zip(shares, wanted, strict=True))


@given(wishes, st.integers(0, 1000))
def test_those_who_want_more_get_equal_shares(wanted: list[int], room: int) -> None:
    shares = share_out(wanted, room)
    short = [share for share, wish in zip(shares, wanted, strict=True) if share < wish]
    assert not short or max(shares) - min(short) <= 1


def test_a_room_of_nothing_gives_nothing() -> None:
    assert share_out([5, 5], 0) == [0, 0]
    assert share_out([5, 5], -3) == [0, 0]
    assert share_out([], 5) == []
