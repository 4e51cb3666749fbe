"""Reads GGUF headers with limits: anyone may have made the file, and llama.cpp must never see a hostile one.

Every count is bounded, and checked against the file's size, before anything is read or memory is allocated, in integers
that do not overflow.
Layout (little endian): magic, version u32, tensor count u64, pair count u64; pairs of key, type and value; tensors of
name, dimensions, type and offset; padding; data. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from store.gguf.metadata import ALIGNMENT, MetadataReader, Value
from store.gguf.reader import HeaderReader, InvalidGgufError
from store.gguf.tensor_types import TENSOR_TYPES, TensorType
from store.gguf.vocabulary import check_vocabulary

MAX_PAIRS = 4096
"""Models have up to a hundred."""
MAX_TENSORS = 8192
"""Of one file. DeepSeek-V3 has 1,100 in all its files."""
MAX_TENSOR_NAME = 63
"""Bytes, as in llama.cpp."""
MAX_DIMENSIONS = 4
MAX_TENSOR_SIDE = (1 << 63) - 1
MIN_PAIR_SIZE = 8 + 4 + 1
MIN_TENSOR_SIZE = 8 + 4 + 4 + 8
DEFAULT_ALIGNMENT = 32
_TENSOR_TAILS = [struct.Struct(f"<{dimensions}QIQ") for dimensions in range(1, MAX_DIMENSIONS + 1)]
"""Shape, type and offset of a tensor, by the number of its dimensions."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor's place. `shape` is innermost first; `offset` counts bytes from the start of the data."""

    name: str
    type: TensorType
    shape: tuple[int, ...]
    offset: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.elements // self.type.block * self.type.size


@dataclass(frozen=True, slots=True)
class Gguf:
    """The header of a GGUF file whose tensors all lie inside the file."""

    metadata: Mapping[str, Value]
    tensors: tuple[Tensor, ...]

    @property
    def parameter_count(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def architecture(self) -> str:
        """`general.architecture`, "" when it is missing."""
        return self.text("general.architecture")

    def text(self, key: str) -> str:
        """The string at `key`, "" when there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def integer(self, key: str) -> int | None:
        """The integer at `key`, None when there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def own(self, key: str) -> str:
        """The full key of an architecture's own `key`: `llama.context_length`."""
        return f"{self.architecture}.{key}"


def read_gguf(path: Path, *, arrays: bool = False) -> Gguf:
    """Reads and checks a file's header, with `arrays` also its metadata's arrays. Raises InvalidGgufError, OSError."""
    with path.open("rb", buffering=0) as file:
        reader = HeaderReader(file)
        tensor_count, pair_count = _read_counts(reader)
        metadata = MetadataReader(reader, arrays=arrays).read(pair_count)
        check_vocabulary(metadata.pairs, metadata.columns)
        alignment = _alignment(metadata.pairs)
        tensors = _read_tensors(reader, tensor_count)
        start = -(-reader.position // alignment) * alignment
        _check_extents(tensors, alignment, reader.size - start)
        return Gguf(metadata.pairs, tensors)


def _read_counts(reader: HeaderReader) -> tuple[int, int]:
    if reader.take(4) != b"GGUF":
        raise InvalidGgufError("it is no GGUF file")
    version = reader.u32()
    if version & 0xFFFF == 0:
        raise InvalidGgufError("big-endian files are not supported")
    if version not in (2, 3):
        raise InvalidGgufError(f"version {version} is not supported")
    tensors, pairs = reader.u64(), reader.u64()
    if tensors * MIN_TENSOR_SIZE + pairs * MIN_PAIR_SIZE > reader.left:
        raise InvalidGgufError("it declares more entries than it can hold")
    if pairs > MAX_PAIRS:
        raise InvalidGgufError(f"its metadata has {pairs} entries, and at most {MAX_PAIRS} are allowed")
    if tensors > MAX_TENSORS:
        raise InvalidGgufError(f"it has {tensors} tensors, and at most {MAX_TENSORS} are allowed")
    return tensors, pairs


def _alignment(metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get(ALIGNMENT, DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise InvalidGgufError("its alignment is no power of two")
    return alignment


def _read_tensors(reader: HeaderReader, count: int) -> tuple[Tensor, ...]:
    tensors = tuple(_read_tensor(reader) for _ in range(count))
    if len({tensor.name for tensor in tensors}) != count:
        raise InvalidGgufError("it has two tensors of one name")
    return tensors


def _read_tensor(reader: HeaderReader) -> Tensor:
    name, dimensions = reader.string(MAX_TENSOR_NAME).decode(errors="replace"), reader.u32()
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise InvalidGgufError(f"a tensor has {dimensions} dimensions")
    *shape, type_number, offset = _TENSOR_TAILS[dimensions - 1].unpack(reader.take(8 * dimensions + 4 + 8))
    kind = TENSOR_TYPES.get(type_number)
    if kind is None:
        raise InvalidGgufError("a tensor has an unknown type")
    if max(shape) > MAX_TENSOR_SIDE or shape[0] % kind.block:
        raise InvalidGgufError("a tensor has an impossible shape")
    return Tensor(name, kind, tuple(shape), offset)


def _check_extents(tensors: tuple[Tensor, ...], alignment: int, available: int) -> None:
    for tensor in tensors:
        if tensor.offset % alignment:
            raise InvalidGgufError("a tensor is not aligned")
        if tensor.offset + tensor.size > available:
            raise InvalidGgufError("a tensor reaches beyond the end of the file: it is truncated or corrupt")
