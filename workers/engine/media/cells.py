"""Cells of media as numbers in a list of tokens, so that prompts with media compare like all prompts."""

import hashlib

BITS = 62


def cell_numbers(key: bytes, cells: int) -> list[int]:
    """Returns a negative number for each cell of a chunk of media. `key` stands for its content: equal keys give equal
    numbers, and different keys different ones."""
    base = int.from_bytes(hashlib.sha256(key).digest()[:8], "little")
    return [-1 - ((base + index) & ((1 << BITS) - 1)) for index in range(cells)]
