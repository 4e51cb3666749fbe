"""Encoded media in a real context; what is right is what mtmd's own helper computes in a context of one sequence."""

import ctypes
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import llama_cpp.mtmd_cpp as mtmd
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image
from support.vision_models import write_projector, write_text_model

from workers.engine.batch import Batch
from workers.engine.context import Context, ContextOptions
from workers.engine.llama import LoadError
from workers.engine.media import (
    MediaChunk,
    MediaEncoder,
    MediaError,
    MediaLimits,
    Positions,
    Projector,
    ProjectorOptions,
    Segment,
    decode_cells,
)
from workers.engine.model import Model, ModelOptions

LIMITS = MediaLimits(pixels=1 << 20, sound_seconds=60)
BATCH = 64
PIECE = 50
"""Cells that are computed at once, where they need not be all."""
KINDS: dict[str, dict[str, Any]] = {
    "gemma3": {"text": "llama", "vision": "gemma3"},  # the cells of an image look at each other
    "qwen2vl": {"text": "qwen2vl", "vision": "qwen2vl_merger"},  # M-RoPE
    "causal": {"text": "llama", "vision": "qwen2vl_merger"},
    "ultravox": {"text": "llama", "vision": None, "audio": True},
}


def picture(seed: int, width: int = 100, height: int = 60) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def sound(seed: int, seconds: float = 1) -> bytes:
    """A tone."""
    samples = np.sin(np.arange(int(seconds * 16000)) * seed / 9).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format="WAV", subtype="FLOAT")
    return file.getvalue()


@dataclass
class Loaded:
    """A model with its projector."""

    model: Model
    projector: Projector
    files: list[bytes]

    def context(self, sequences: int) -> Context:
        options = ContextOptions(sequences=sequences, ctx_per_sequence=512, batch_tokens=BATCH, threads=1)
        return Context(self.model, options)

    def tokens(self, text: str) -> tuple[int, ...]:
        return tuple(byte + 3 for byte in text.encode())

    def segments(self) -> list[Segment]:
        return [Segment(self.tokens(text), file) for text, file in zip(("look:", "or"), self.files, strict=True)]


@pytest.fixture(scope="module", params=KINDS)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder, kind = tmp_path_factory.mktemp("media"), KINDS[request.param]
    model = Model(ModelOptions(str(write_text_model(folder / "text.gguf", kind["text"]))), lambda _: None)
    path = write_projector(folder / "projector.gguf", vision=kind["vision"], audio=kind.get("audio", False))
    projector = Projector(model, ProjectorOptions(str(path), 1, BATCH, LIMITS))
    make = sound if kind["vision"] is None else picture
    return Loaded(model, projector, [make(1), make(2)])


@pytest.fixture
def encoder(loaded: Loaded) -> Iterator[MediaEncoder]:
    encoder = MediaEncoder(loaded.projector, 1 << 20)
    yield encoder
    encoder.close()


def computed(loaded: Loaded, context: Context, encoder: MediaEncoder, sequence: int) -> NDArray[np.float32]:
    """The logits at the end of the prompt with both files, as the engine computes it in one of many sequences."""
    prompt = encoder.prepare(loaded.segments(), loaded.tokens("?")).result()
    positions = Positions(prompt.spans)
    batch, begin = Batch(BATCH), 0
    for span in prompt.spans:
        decode_text(context, batch, prompt.tokens[begin : span.start], positions.of(begin), sequence)
        step = span.cells if span.chunk.whole else PIECE
        for start in range(0, span.cells, step):
            cells = range(start, min(start + step, span.cells))
            assert decode_cells(context.pointer, span, cells, positions.of(span.start), sequence) == 0
        begin = span.end
    decode_text(context, batch, prompt.tokens[begin:], positions.of(begin), sequence)
    return context.logits(1)[0].copy()


def decode_text(context: Context, batch: Batch, tokens: list[int], position: int, sequence: int) -> None:
    for place, token in enumerate(tokens):
        batch.fill([token], [position + place], [sequence], [1])
        assert context.decode(batch) == 0


def expected(loaded: Loaded) -> NDArray[np.float32]:
    """The same logits from mtmd's own evaluation of the whole prompt."""
    context = loaded.context(1)
    bitmaps = (ctypes.c_void_p * 2)(*(bitmap_of(loaded.projector, file) for file in loaded.files))
    text = b"look:<__media__>or<__media__>?"
    asked = mtmd.mtmd_input_text(text=text, text_len=len(text), add_special=False, parse_special=True)
    chunks = mtmd.mtmd_input_chunks_init()
    pointer = loaded.projector.pointer
    assert mtmd.mtmd_tokenize(pointer, chunks, ctypes.byref(asked), bitmaps, 2) == 0
    after = llama.llama_pos()
    status = mtmd.mtmd_helper_eval_chunks(pointer, context.pointer, chunks, 0, 0, BATCH, True, ctypes.byref(after))
    assert status == 0
    logits = context.logits(1)[0].copy()
    mtmd.mtmd_input_chunks_free(chunks)
    for bitmap in bitmaps:
        mtmd.mtmd_bitmap_free(bitmap)
    return logits


def bitmap_of(projector: Projector, file: bytes) -> Any:
    buffer = (ctypes.c_uint8 * len(file)).from_buffer_copy(file)
    return mtmd.mtmd_helper_bitmap_init_from_buf(projector.pointer, buffer, len(file), False)


def test_logits_after_two_files_are_those_of_mtmd(loaded: Loaded, encoder: MediaEncoder) -> None:
    context = loaded.context(3)
    right = expected(loaded)
    for sequence in (2, 0):
        np.testing.assert_allclose(computed(loaded, context, encoder, sequence), right, atol=1e-2)


def test_other_content_gives_other_logits(loaded: Loaded, encoder: MediaEncoder) -> None:
    context = loaded.context(2)
    same = computed(loaded, context, encoder, 0)
    loaded.files.reverse()
    other = computed(loaded, context, encoder, 1)
    loaded.files.reverse()
    assert np.abs(same - other).max() > 0.1


def test_a_file_is_encoded_once(loaded: Loaded, encoder: MediaEncoder) -> None:
    first, again = (encoder.prepare(loaded.segments(), [1]).result() for _ in range(2))
    assert first.tokens == again.tokens
    assert all(one.chunk is other.chunk for one, other in zip(first.spans, again.spans, strict=True))


def test_a_file_that_cannot_be_decoded_fails_its_own_request(loaded: Loaded, encoder: MediaEncoder) -> None:
    broken = encoder.prepare([Segment((1,), b"no image")], [1])
    good = encoder.prepare(loaded.segments(), [1])
    with pytest.raises(MediaError, match="decoded"):
        broken.result()
    assert len(good.result().spans) == 2


@pytest.mark.parametrize("loaded", ["gemma3"], indirect=True)
def test_a_model_that_sees_does_not_hear(loaded: Loaded) -> None:
    with pytest.raises(MediaError, match="does not support audio"):
        loaded.projector.encode(sound(1), b"digest")


@pytest.mark.parametrize("loaded", ["ultravox"], indirect=True)
def test_a_model_that_hears_does_not_see(loaded: Loaded) -> None:
    with pytest.raises(MediaError, match="does not support image"):
        loaded.projector.encode(picture(1), b"digest")


@pytest.mark.parametrize("loaded", ["ultravox"], indirect=True)
def test_sounds_of_any_length_are_heard(loaded: Loaded) -> None:
    """Of less than a window of samples llama.cpp makes an error that ends the process."""
    chunks = [loaded.projector.encode(sound(1, seconds), b"digest") for seconds in (1 / 16000, 1, 35)]
    assert [len(some) for some in chunks] == [1, 1, 2]


@pytest.mark.parametrize("loaded", ["qwen2vl"], indirect=True)
def test_an_image_takes_positions_in_rows_and_columns(loaded: Loaded) -> None:
    content = picture(1)
    (chunk,) = (
        c for c in loaded.projector.encode(content, hashlib.sha256(content).digest()) if isinstance(c, MediaChunk)
    )
    assert (chunk.cells, chunk.positions, chunk.embeddings.shape[0]) == (104, 13, 104)


@pytest.mark.parametrize("loaded", ["qwen2vl", "gemma3"], indirect=True)
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1)])
def test_images_of_odd_shapes_are_seen(loaded: Loaded, size: tuple[int, int]) -> None:
    assert loaded.projector.encode(picture(1, *size), b"digest")


def test_a_projector_for_another_model_is_refused(tmp_path: Path) -> None:
    model = Model(ModelOptions(str(write_text_model(tmp_path / "text.gguf"))), lambda _: None)
    with pytest.raises(LoadError):
        Projector(model, ProjectorOptions(str(tmp_path / "text.gguf"), 1, BATCH, LIMITS))


def test_an_image_of_more_cells_than_a_batch_is_refused_where_they_look_at_each_other(tmp_path: Path) -> None:
    model = Model(ModelOptions(str(write_text_model(tmp_path / "text.gguf"))), lambda _: None)
    projector = Projector(model, ProjectorOptions(str(write_projector(tmp_path / "p.gguf")), 1, 8, LIMITS))
    with pytest.raises(MediaError, match="num_batch"):
        projector.encode(picture(1), b"digest")
