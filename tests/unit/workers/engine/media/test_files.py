"""Image and sound files: what is read of them, and what is refused before it takes memory or time."""

import io
import struct
import zlib

import numpy as np
import pytest
import soundfile
from PIL import Image

from workers.engine.media.files import MediaError, MediaLimits, Picture, Sound, read_medium, wav_of

LIMITS = MediaLimits(pixels=10_000, sound_seconds=2)


def image_file(kind: str, mode: str = "RGB", size: tuple[int, int] = (3, 2)) -> bytes:
    file = io.BytesIO()
    color = {"RGB": (255, 0, 0), "RGBA": (255, 0, 0, 128), "L": 255, "P": 0, "I;16": 0x8000, "CMYK": (0, 255, 255, 0)}
    Image.new(mode, size, color[mode]).save(file, kind)
    return file.getvalue()


def sound_file(kind: str, seconds: float = 1.0, rate: int = 8000, channels: int = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full((int(seconds * rate), channels), 0.5, np.float32), rate, format=kind)
    return file.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A file of a few bytes that says it is large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def wav_that_claims(samples: int, rate: int = 8000) -> bytes:
    file = bytearray(sound_file("WAV", 0.1))
    file[24:28] = struct.pack("<I", rate)
    place = file.index(b"data") + 4
    file[place : place + 4] = struct.pack("<I", samples * 2)
    return bytes(file)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_the_formats_that_ollama_takes_are_read(kind: str) -> None:
    picture = read_medium(image_file(kind), LIMITS)
    assert isinstance(picture, Picture)
    assert (picture.width, picture.height) == (3, 2)
    assert np.allclose(np.frombuffer(picture.rgb, np.uint8).reshape(6, 3), [255, 0, 0], atol=6)


@pytest.mark.parametrize(
    ("kind", "mode", "pixel"),
    [("PNG", "RGBA", [255, 0, 0]), ("PNG", "L", [255] * 3), ("PNG", "I;16", [128] * 3), ("JPEG", "CMYK", [254, 0, 0])],
)
def test_every_kind_of_pixel_becomes_red_green_and_blue(kind: str, mode: str, pixel: list[int]) -> None:
    picture = read_medium(image_file(kind, mode), LIMITS)
    assert isinstance(picture, Picture)
    assert np.allclose(np.frombuffer(picture.rgb, np.uint8)[:3], pixel, atol=3)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
def test_sounds_are_read_as_one_channel(kind: str) -> None:
    sound = read_medium(sound_file(kind, channels=2), LIMITS)
    assert isinstance(sound, Sound)
    assert (sound.samples.shape, sound.rate) == ((8000,), 8000)
    assert np.median(sound.samples) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"no image at all",
        image_file("PNG")[:45],
        image_file("JPEG")[:100],
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x00\x00\x00\x18ftypmp42",
        png_that_claims(30, 30),
    ],
)
def test_what_is_no_image_is_refused(file: bytes) -> None:
    with pytest.raises(MediaError, match="could not be decoded"):
        read_medium(file, LIMITS)


@pytest.mark.parametrize("size", [(200, 51), (1 << 20, 1 << 20)])
def test_an_image_with_too_many_pixels_is_refused_unread(size: tuple[int, int]) -> None:
    with pytest.raises(MediaError):
        read_medium(png_that_claims(*size), LIMITS)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (sound_file("WAV", 2.1), "too long"),
        (sound_file("WAV", 0), "empty"),
        (sound_file("WAV")[:20], "could not be decoded"),
        (b"fLaC" + bytes(100), "could not be decoded"),
        (b"ID3" + bytes(100), "could not be decoded"),
        (wav_that_claims(1000, rate=1), "not known"),
    ],
)
def test_what_is_no_usable_sound_is_refused(file: bytes, reason: str) -> None:
    with pytest.raises(MediaError, match=reason):
        read_medium(file, LIMITS)


def test_many_channels_of_silence_take_no_memory() -> None:
    sound = read_medium(sound_file("WAV", 1.5, channels=1000), LIMITS)
    assert isinstance(sound, Sound)
    assert sound.samples.shape == (12000,)


def test_a_sound_is_as_long_as_it_is_whatever_its_header_says() -> None:
    sound = read_medium(wav_that_claims(1 << 30), LIMITS)
    assert isinstance(sound, Sound)
    assert len(sound.samples) == 800
    again = read_medium(wav_of(sound), LIMITS)
    assert isinstance(again, Sound)
    assert np.array_equal(again.samples, sound.samples)
