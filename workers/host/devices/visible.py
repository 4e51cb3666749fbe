"""Which GPUs CUDA_VISIBLE_DEVICES names, by CUDA's rules.

https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables
"""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

GPU_PREFIX, MIG_PREFIX = "GPU-", "MIG-"
INDEX = re.compile(r"\+?\d+")

Reader = Callable[[str], str | None]
"""Turns an entry into the UUID of a GPU or of a part of one (MIG); None = it is invalid."""


def visible_uuids(variable: str | None, uuids: Sequence[str], is_part: Callable[[str], bool]) -> list[str]:
    """The UUIDs of the visible GPUs, in the order of the variable; None = it is not set, so that all are visible.

    `uuids` are those of all GPUs in the order of their PCI addresses. The first entry says whether all are indices,
    UUIDs or MIG ids. The first invalid entry ends the list. Naming a GPU twice hides all of them.
    """
    if variable is None:
        return list(uuids)
    entries = [entry.strip() for entry in variable.split(",")]
    reader = _reader(entries[0], uuids, is_part)
    visible = [uuid for uuid in takewhile(lambda uuid: uuid is not None, map(reader, entries)) if uuid is not None]
    return visible if len(set(visible)) == len(visible) else []


def _reader(entry: str, uuids: Sequence[str], is_part: Callable[[str], bool]) -> Reader:
    if entry.startswith(MIG_PREFIX):
        return lambda text: text if text.startswith(MIG_PREFIX) and is_part(text) else None
    if entry.startswith(GPU_PREFIX):
        return lambda text: _by_prefix(text, uuids)
    return lambda text: _by_index(text, uuids)


def _by_prefix(text: str, uuids: Sequence[str]) -> str | None:
    """The only GPU whose UUID begins so."""
    candidates = [uuid for uuid in uuids if text.startswith(GPU_PREFIX) and uuid.lower().startswith(text.lower())]
    return candidates[0] if len(candidates) == 1 else None


def _by_index(text: str, uuids: Sequence[str]) -> str | None:
    """CUDA reads the digits at the beginning, and passes over what follows."""
    digits = INDEX.match(text)
    return uuids[int(digits[0])] if digits and int(digits[0]) < len(uuids) else None
