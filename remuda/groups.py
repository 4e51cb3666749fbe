"""Divides lists whose entries are of different sizes."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Entry = TypeVar("Entry")


def groups(
    entries: Sequence[Entry], size_of: Callable[[Entry], int], most: int
) -> Iterator[tuple[int, Sequence[Entry]]]:
    """The entries in their order, in groups of about `most` in size, each with the index of its first entry. A larger
    entry has a group of its own."""
    start, size = 0, 0
    for index, entry in enumerate(entries):
        if index > start and size + size_of(entry) > most:
            yield start, entries[start:index]
            start, size = index, 0
        size += size_of(entry)
    if start < len(entries):
        yield start, entries[start:]
