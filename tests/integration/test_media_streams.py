"""Sequences with images beside others: in pieces, cancelled midway, and when cells run out."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.engine_run import GREEDY, PATIENT, Run
from support.pictures import random_picture
from support.vision_models import Vision, write_projector, write_text_model

from workers.engine.context import Context, ContextOptions
from workers.engine.engine import Engine, EngineOptions
from workers.engine.logprobs import TokenLogprobs
from workers.engine.media import MediaEncoder, MediaLimits, Projector, ProjectorOptions, Segment
from workers.engine.media.prompt import Chunk
from workers.engine.model import Model, ModelOptions
from workers.engine.parking import Parking
from workers.engine.pieces import Piece
from workers.engine.sequence import FinishReason, SequenceKey

BATCH, CHUNK, PATIENCE_S = 128, 16, 20
ROUNDING = 0.05
"""How far log probabilities differ if the same numbers are added in another order. Wrong ones differ by 1 or more."""
KINDS: dict[str, tuple[str, Vision]] = {
    "causal": ("llama", "qwen2vl_merger"),
    "M-RoPE": ("qwen2vl", "qwen2vl_merger"),
    "whole": ("llama", "gemma3"),
}
TALKATIVE = [70, 71, 72]
"""A prompt after which no model ends its reply."""

MakeEngine = Callable[..., Run]


@pytest.fixture
def engine(kind: str, tmp_path: Path) -> Iterator[MakeEngine]:
    """Makes engines with a model of `kind`."""
    text, vision = KINDS[kind]
    model = Model(ModelOptions(str(write_text_model(tmp_path / "text.gguf", text))), lambda _: None)  # type: ignore[arg-type]
    limits = MediaLimits(1 << 20, 60)
    path = write_projector(tmp_path / "projector.gguf", vision=vision)
    projector = Projector(model, ProjectorOptions(str(path), 1, BATCH, limits))
    with ExitStack() as stack:

        def make(slots: int = 2, shared_cells: int = 0) -> Run:
            context = Context(
                model, ContextOptions(slots, 512, BATCH, threads=1, kv_cache_type="f32", shared_cells=shared_cells)
            )
            encoder = MediaEncoder(projector, 1 << 20)
            stack.callback(encoder.close)
            options = EngineOptions(slots, 512, CHUNK, PATIENT)
            return Run(Engine(model, context, options, parking=Parking(10**7), media=encoder))

        yield make


def see(run: Run, number: int, seed: int, predict: int = 20) -> None:
    """Adds a request with an image."""
    run.add(number, [5, 6, 7], predict=predict, logprobs=2, media=(Segment((10 + seed, 11, 12), random_picture(seed)),))


def until(run: Run, condition: Callable[[], bool]) -> None:
    """Runs steps until `condition` holds. Their number depends on when the images are encoded."""
    end = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < end:
        run.steps(1)
    assert condition()


def reply_tokens(run: Run, number: int) -> list[int]:
    until(run, lambda: number in run.ended)
    assert run.finish(number) in (FinishReason.LENGTH, FinishReason.STOP)
    return [token for token in run.sequences[number].tokens if token >= 0]


@pytest.mark.parametrize("kind", ["causal", "M-RoPE"])
def test_streams_go_on_between_the_pieces_of_an_image(engine: MakeEngine) -> None:
    run = engine()
    stream = run.add(0, TALKATIVE, predict=300)
    until(run, lambda: stream.generated > 10)
    see(run, 1, seed=1)
    until(run, lambda: run.sequences[1].computed > 20)
    before = stream.generated
    until(run, lambda: run.sequences[1].generated > 0)
    assert stream.generated - before >= (104 - 20) // CHUNK - 1
    assert stream.finish is None


@pytest.mark.parametrize("kind", ["causal"])
def test_streams_go_on_while_an_image_is_encoded(engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    may_encode, encode = threading.Event(), Projector.encode

    def encode_late(projector: Projector, blob: bytes, digest: bytes) -> tuple[Chunk, ...]:
        may_encode.wait(PATIENCE_S)
        return encode(projector, blob, digest)

    monkeypatch.setattr(Projector, "encode", encode_late)
    run = engine()
    stream = run.add(0, TALKATIVE, predict=300)
    see(run, 1, seed=1)
    until(run, lambda: stream.generated > 50)
    assert run.engine.waiting == 1
    may_encode.set()
    assert reply_tokens(run, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_is_cancelled_midway_leaves_the_next_one_right(engine: MakeEngine) -> None:
    run = engine()
    see(run, 0, seed=1)
    right = reply_tokens(run, 0)
    see(run := engine(), 0, seed=1)
    run.add(1, TALKATIVE, predict=300)  # beside a stream, an image is computed in pieces
    until(run, lambda: run.sequences[0].computed > 20)
    run.engine.cancel(SequenceKey(0, 0))
    see(run, 2, seed=1)
    assert reply_tokens(run, 2) == right


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_with_images_that_outgrow_the_cells_say_the_same_as_alone(engine: MakeEngine) -> None:
    run = engine(slots=4, shared_cells=512)
    together = token_logprobs(run, *range(4))
    assert run.engine.counters.preemptions > 0
    for number in range(4):
        alone = token_logprobs(engine(slots=1), number)[number]
        assert len(alone) > 20
        assert_same(together[number], alone)


def token_logprobs(run: Run, *numbers: int) -> dict[int, list[TokenLogprobs]]:
    """Runs requests with images side by side. Returns the log probabilities of each one's tokens."""
    result: dict[int, list[TokenLogprobs]] = {number: [] for number in numbers}

    def collect(pieces: list[Piece]) -> None:
        for piece in pieces:
            result[piece.request.key.request_id] += piece.logprobs

    for number in numbers:
        see(run, number, seed=number, predict=110)
    end = time.monotonic() + PATIENCE_S
    while run.engine.busy and time.monotonic() < end:
        run.engine.step(collect)
    return result


def assert_same(some: list[TokenLogprobs], others: list[TokenLogprobs]) -> None:
    """Compares two replies up to rounding. It may swap two equally likely tokens, after which all others differ."""
    for one, other in zip(some, others, strict=False):
        assert one.top[0].logprob == pytest.approx(other.top[0].logprob, abs=ROUNDING)
        if one.picked.token != other.picked.token:
            assert one.top[0].logprob - one.top[1].logprob < ROUNDING
            return
    assert len(some) == len(others)


@pytest.mark.parametrize("kind", ["M-RoPE"])
def test_a_full_context_ends_a_sequence_with_an_image(engine: MakeEngine) -> None:
    run = engine()
    run.add(0, [5, 6, 7], predict=-1, shift=True, sampling=GREEDY, media=(Segment((10,), random_picture(1)),))
    until(run, lambda: 0 in run.ended)
    assert run.finish(0) in (FinishReason.LENGTH, FinishReason.STOP)
