"""Reads image and sound files that clients send.

llama.cpp would read them itself, but it trusts the size in a file's header, and starts ffmpeg on unknown formats.
"""

import io
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import soundfile  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray
from PIL import Image

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""Those with fast decoders: of plain PPM a small file keeps Pillow busy for seconds, beside the engine's thread."""
SOUND_FORMATS = ("WAV", "WAVEX", "FLAC", "MP3", "MPEG")
SOUND_MARKS = (b"ID3", b"fLaC", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa", b"\xff\xe3", b"\xff\xe2")
SAMPLE_RATES = range(4_000, 96_001)
"""Hertz. llama.cpp resamples to the model's rate: one sample a second would become thousands."""
BLOCK_SAMPLES = 1 << 20


class MediaError(Exception):
    """A file that cannot be used. The text is for the client."""


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """The largest contents that a file may have."""

    pixels: int
    sound_seconds: int


@dataclass(frozen=True, slots=True)
class Picture:
    """An image: `rgb` has three bytes for each pixel, row by row."""

    width: int
    height: int
    rgb: bytes


@dataclass(frozen=True, slots=True)
class Sound:
    """One channel."""

    samples: NDArray[np.float32]
    rate: int  # hertz


Medium: TypeAlias = Picture | Sound


def read_medium(blob: bytes, limits: MediaLimits) -> Medium:
    """Raises MediaError."""
    if blob.startswith(SOUND_MARKS) or (blob[:4], blob[8:12]) == (b"RIFF", b"WAVE"):
        return _read_sound(blob, limits.sound_seconds)
    return _read_picture(blob, limits.pixels)


def _read_picture(blob: bytes, pixels: int) -> Picture:
    try:
        with Image.open(io.BytesIO(blob), formats=IMAGE_FORMATS) as image:
            width, height = image.size
            if width * height > pixels:
                raise MediaError(f"the image has {width} x {height} pixels; at most {pixels} are accepted")
            return Picture(width, height, _rgb(image))
    except MediaError:
        raise
    except Exception as error:  # the decoders raise any exception on a broken file
        raise MediaError("the image could not be decoded: it is damaged, or of a format that is not known") from error


def _rgb(image: Image.Image) -> bytes:
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip to 8
        grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
        image = Image.fromarray(grey)
    return image.convert("RGB").tobytes()


def _read_sound(blob: bytes, seconds: int) -> Sound:
    try:
        with soundfile.SoundFile(io.BytesIO(blob)) as file:
            rate = int(file.samplerate)
            if file.format not in SOUND_FORMATS or rate not in SAMPLE_RATES:
                raise MediaError(f"the sound is of a format that is not known: {file.format}, {rate} Hz")
            samples = _one_channel(file, seconds * rate)
    except soundfile.SoundFileError as error:
        raise MediaError("the sound could not be decoded: it is damaged, or of a format that is not known") from error
    if len(samples) > seconds * rate:
        raise MediaError(f"the sound is too long: at most {seconds} seconds are accepted")
    if not len(samples):
        raise MediaError("the sound is empty")
    return Sound(samples, rate)


def _one_channel(file: Any, limit: int) -> NDArray[np.float32]:
    """Reads the mean of all channels, a little more than `limit` samples at most. Blocks bound the memory: a small file
    may have a thousand channels of silence."""
    blocks: list[NDArray[np.float32]] = []
    frames = max(BLOCK_SAMPLES // file.channels, 1)
    while sum(map(len, blocks)) <= limit:
        block = file.read(frames, dtype="float32", always_2d=True)
        if not len(block):
            break
        blocks.append(block.mean(axis=1, dtype=np.float32))
    return np.concatenate([np.empty(0, np.float32), *blocks])


def wav_of(sound: Sound) -> bytes:
    """Writes the sound as a file with a correct header."""
    file = io.BytesIO()
    cast(Any, soundfile).write(file, sound.samples, sound.rate, format="WAV", subtype="FLOAT")
    return file.getvalue()
