"""A projector (mmproj file) makes embeddings of images and sounds."""

import ctypes
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.engine.context import flash_attention_type
from workers.engine.llama import C, LoadError
from workers.engine.media.files import MediaError, MediaLimits, Medium, Picture, Sound, read_medium, wav_of
from workers.engine.media.mtmd import M
from workers.engine.media.prompt import Chunk, MediaChunk, Places, TextChunk
from workers.engine.model import Model

SHORTEST_SOUND_S = 0.1
"""Shorter sounds are padded with silence: llama.cpp fails on too few samples."""

ANY_NUMBER = -1


@dataclass(frozen=True, slots=True)
class ProjectorOptions:
    """How to load a projector, and what it accepts."""

    path: str
    threads: int
    batch_tokens: int  # rows of a batch at most
    limits: MediaLimits
    use_gpu: bool = True
    flash_attention: bool | None = None


class Projector:
    """A loaded projector. Only one thread at a time may encode."""

    def __init__(self, model: Model, options: ProjectorOptions) -> None:
        """Raises LoadError when the file cannot be loaded or does not fit the model."""
        self._options = options
        self.pointer: Any = _load(model, options, max_image_tokens=ANY_NUMBER)
        if M.mtmd_decode_use_non_causal(self.pointer, None):
            # cells that attend to each other need one batch, so an image must not have more than that
            M.mtmd_free(self.pointer)
            self.pointer = _load(model, options, max_image_tokens=options.batch_tokens)
        self._width: int = C.llama_model_n_embd_inp(model.pointer)
        self.vision: bool = M.mtmd_support_vision(self.pointer)
        self.audio: bool = M.mtmd_support_audio(self.pointer)
        weakref.finalize(self, M.mtmd_free, self.pointer).atexit = False

    def encode(self, blob: bytes, digest: bytes) -> tuple[Chunk, ...]:
        """Returns the chunks of an image or sound file. `digest` stands for its content. Raises MediaError."""
        medium = read_medium(blob, self._options.limits)
        self._check_kind(medium)
        with self._tokenized(medium) as chunks:
            count: int = M.mtmd_input_chunks_size(chunks)
            return tuple(
                self._encode(M.mtmd_input_chunks_get(chunks, place), b"%s %d" % (digest, place))
                for place in range(count)
            )

    def _check_kind(self, medium: Medium) -> None:
        if isinstance(medium, Picture) and not self.vision:
            raise MediaError("this model does not support image input")
        if isinstance(medium, Sound) and not self.audio:
            raise MediaError("this model does not support audio input")

    @contextmanager
    def _tokenized(self, medium: Medium) -> Generator[Any]:
        marker: bytes = M.mtmd_default_marker()
        text = M.mtmd_input_text(text=marker, text_len=len(marker), add_special=False, parse_special=True)
        bitmap = self._picture(medium) if isinstance(medium, Picture) else self._sound(medium)
        chunks = M.mtmd_input_chunks_init()
        try:
            bitmaps = (ctypes.c_void_p * 1)(bitmap)
            if M.mtmd_tokenize(self.pointer, chunks, ctypes.byref(text), bitmaps, 1):
                raise MediaError("the model cannot take this file: it may be too small, or of an odd shape")
            yield chunks
        finally:
            M.mtmd_input_chunks_free(chunks)
            M.mtmd_bitmap_free(bitmap)

    def _picture(self, picture: Picture) -> Any:
        pixels = ctypes.cast(ctypes.c_char_p(picture.rgb), ctypes.POINTER(ctypes.c_uint8))
        return M.mtmd_bitmap_init(picture.width, picture.height, pixels)

    def _sound(self, sound: Sound) -> Any:
        missing = int(SHORTEST_SOUND_S * sound.rate) - len(sound.samples)
        content = wav_of(Sound(np.pad(sound.samples, (0, max(missing, 0))), sound.rate))
        buffer = ctypes.cast(ctypes.c_char_p(content), ctypes.POINTER(ctypes.c_uint8))
        bitmap = M.mtmd_helper_bitmap_init_from_buf(self.pointer, buffer, len(content), False)
        if not bitmap:
            raise MediaError("the sound could not be decoded")
        return bitmap

    def _encode(self, chunk: Any, key: bytes) -> Chunk:
        if M.mtmd_input_chunk_get_type(chunk) == M.MTMD_INPUT_CHUNK_TYPE_TEXT:
            return TextChunk(_text_tokens(chunk))
        cells: int = M.mtmd_input_chunk_get_n_tokens(chunk)
        whole: bool = M.mtmd_decode_use_non_causal(self.pointer, chunk)
        if whole and cells > self._options.batch_tokens:
            raise MediaError(f"the file takes {cells} tokens, which this model computes at once: num_batch is less")
        if M.mtmd_encode_chunk(self.pointer, chunk):
            raise MediaError("the file could not be encoded")
        shape = (cells, self._width)
        return MediaChunk(
            key=key,
            cells=cells,
            positions=M.mtmd_input_chunk_get_n_pos(chunk),
            embeddings=np.ctypeslib.as_array(M.mtmd_get_output_embd(self.pointer), shape).copy(),
            places=self._places(chunk, cells),
            whole=whole,
        )

    def _places(self, chunk: Any, cells: int) -> Places:
        if not M.mtmd_decode_use_mrope(self.pointer):
            return Places(np.arange(cells, dtype=np.int32)[np.newaxis], np.ones((1, cells), np.int32))
        image = M.mtmd_input_chunk_get_tokens_image(chunk)
        if not image:  # a sound has a time, but no row and column
            return Places(np.tile(np.arange(cells, dtype=np.int32), (4, 1)), np.ones((4, cells), np.int32))
        at_zero = _image_places(image, cells, 0)
        return Places(at_zero, _image_places(image, cells, 1) - at_zero)


def projector_params(options: ProjectorOptions, *, max_image_tokens: int = ANY_NUMBER) -> Any:
    """Returns mtmd's parameters."""
    params = M.mtmd_context_params_default()
    params.use_gpu = options.use_gpu
    params.n_threads = options.threads
    params.print_timings = False
    params.flash_attn_type = flash_attention_type(options.flash_attention)
    params.image_max_tokens = max_image_tokens
    return params


def _load(model: Model, options: ProjectorOptions, *, max_image_tokens: int) -> Any:
    params = projector_params(options, max_image_tokens=max_image_tokens)
    pointer = M.mtmd_init_from_file(options.path.encode(), model.pointer, params)
    if not pointer:
        raise LoadError("llama.cpp could not load the projector")
    return pointer


def _text_tokens(chunk: Any) -> tuple[int, ...]:
    count = ctypes.c_size_t()
    tokens = M.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
    return tuple(tokens[: count.value])


def _image_places(image: Any, cells: int, position: int) -> NDArray[np.int32]:
    """Returns an array (4, cells) in llama.cpp's order: time, row, column, unused."""
    places = (M.mtmd_decoder_pos * cells)()
    M.mtmd_helper_image_get_decoder_pos(image, position, places)
    return np.array([(place.t, place.y, place.x, place.z) for place in places], np.int32).T
