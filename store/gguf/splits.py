"""Models that are split into several GGUF files: each file is a model layer of the manifest.

Every file says its number and how many there are; the first has the metadata, and the tensors lie in all of them.
"""

from collections.abc import Sequence
from dataclasses import replace

from store.errors import CorruptModelError
from store.gguf.header import SPLIT_COUNT, SPLIT_NUMBER, Gguf


def is_split(header: Gguf) -> bool:
    """Whether this is one of several files."""
    return (header.integer(SPLIT_COUNT) or 0) > 1


def order(headers: Sequence[Gguf]) -> list[int]:
    """The places in `headers` of the first file, the second and so on. Raises CorruptModelError for an incomplete
    set."""
    counts = {header.integer(SPLIT_COUNT) for header in headers}
    places = {header.integer(SPLIT_NUMBER): place for place, header in enumerate(headers)}
    if counts != {len(headers)} or places.keys() != set(range(len(headers))):
        count = headers[0].integer(SPLIT_COUNT)
        raise CorruptModelError(f"the model is split into {count} files, and the {len(headers)} here are not these")
    return [places[number] for number in range(len(headers))]


def merge(headers: Sequence[Gguf]) -> Gguf:
    """The files of a split model as one: the first one's metadata, the tensors of all. Raises CorruptModelError."""
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise CorruptModelError("the files of the split model have a tensor twice")
    return replace(headers[0], tensors=tensors)
