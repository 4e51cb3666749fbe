"""Orders and merges the GGUF files of a split model. Each file is a model layer of the manifest.

Every file tells its number and the count of files. The first has the metadata; all have tensors.
"""

from collections.abc import Sequence
from dataclasses import replace

from store.errors import CorruptModelError
from store.gguf.header import Gguf
from store.gguf.metadata import SPLIT_COUNT, SPLIT_NUMBER


def is_split(header: Gguf) -> bool:
    """Whether the file is one of several."""
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
    """One header for all files: the metadata of the first, the tensors of all. Raises CorruptModelError."""
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise CorruptModelError("the files of the split model have a tensor twice")
    return replace(headers[0], tensors=tensors)
