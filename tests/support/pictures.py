"""Pictures for models that see."""

import io

import numpy as np
from PIL import Image


def random_picture(seed: int, kind: str = "PNG") -> bytes:
    """A file of 100 × 60 pixels. In the Qwen2-VL projector it takes 104 cells, in Gemma's 16."""
    pixels = np.random.default_rng(seed).integers(0, 255, (60, 100, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()
