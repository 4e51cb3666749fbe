"""Checks the table by which Unigram vocabularies normalise texts: an index out of it ends the process that looks it up.

Layout: the size of the trie u32, the trie as a double array of u32 (Darts), texts that each end at a zero byte. An
entry of the trie has a label (bits 0-7), whether a text ends there (bit 8), and how far away its children are (bits
10-30, shifted by 8 where bit 9 is set); bit 31 marks the place of a text.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from store.gguf.reader import InvalidGgufError

_SIZE = struct.Struct("<I")
_VALUE = 1 << 31
MAX_CHARSMAP = 4 << 20
"""Bytes. SentencePiece's own, nmt_nfkc, has 237,539. The check takes ten times a table's size."""


def check_charsmap(content: bytes) -> None:
    """Raises InvalidGgufError where a lookup would leave the table, or it is too large. A vocabulary may have none."""
    if len(content) <= _SIZE.size:
        return
    if len(content) > MAX_CHARSMAP:
        raise InvalidGgufError(
            f"its precompiled_charsmap takes {len(content)} bytes, and at most {MAX_CHARSMAP} are allowed"
        )
    size = _SIZE.unpack_from(content)[0]
    if _SIZE.size + size >= len(content):
        raise InvalidGgufError("its precompiled_charsmap is truncated")
    trie = np.frombuffer(content, "<u4", size // 4, _SIZE.size).astype(np.int64)
    if len(trie) and not _is_closed(trie, last_text=content[_SIZE.size + size :].rfind(b"\0")):
        raise InvalidGgufError("its precompiled_charsmap leads out of itself")


def _is_closed(trie: NDArray[np.int64], last_text: int) -> bool:
    """Whether all children and texts lie inside. Unused entries, which lead to themselves, are held to it as well."""
    places = np.arange(len(trie))
    distance = (trie >> 10) << ((trie & (1 << 9)) >> 6)
    is_node = (trie & _VALUE) == 0
    is_node[0] = True
    children = (places ^ distance)[is_node]
    if (children | 0xFF).max() >= len(trie):
        return False
    has_text = (trie[is_node] & (1 << 8)) != 0
    texts = trie[children[has_text]] & (_VALUE - 1)
    return bool((texts <= last_text).all())
