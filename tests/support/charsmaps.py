"""Writes tables of normalisations as SentencePiece does."""

import struct

BLOCK = 256
LEAF, VALUE = 1 << 8, 1 << 31
BASE_SHIFT = 10


def replace_a(text_at: int, texts: bytes) -> bytes:
    """A table that replaces the letter a by the text that begins at `text_at` in `texts`."""
    trie = list(range(BLOCK))  # unused entries: each is labelled with its own place, and leads to itself
    trie[0] = 0
    trie[ord("a")] = ord("a") | LEAF | 1 << BASE_SHIFT
    trie[ord("a") ^ 1] = VALUE | text_at
    return charsmap(trie, texts)


def charsmap(trie: list[int], texts: bytes) -> bytes:
    """A table of these entries and texts."""
    content = struct.pack(f"<{len(trie)}I", *trie)
    return struct.pack("<I", len(content)) + content + texts
