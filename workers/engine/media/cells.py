"""Cells of media as numbers in a list of tokens, so that prompts with media are compared as all prompts are."""

import hashlib

BITS = 62


def cell_numbers(key: bytes, cells: int) -> list[int]:
    """Negative numbers for the cells of a chunk of media: the same for the same `key`, which stands for its content,
    and others for any other key."""
    base = int.from_bytes(hashlib.sha256(key).digest()[:8], "little")
    return [-1 - ((base + index) & ((1 << BITS) - 1)) for index in range(cells)]
