"""Reads GGUF headers with limits: anyone may have made the file, and llama.cpp must never see a hostile one.

Every count is checked against the file's size before memory is allocated, in integers that do not overflow.
Layout (little endian): magic, version u32, tensor count u64, pair count u64; pairs of key, type and value; tensors of
name, dimensions, type and offset; padding; data. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.gguf.reader import HeaderReader, InvalidGgufError
from store.gguf.tensor_types import TENSOR_TYPES, TensorType

Array = list[str] | NDArray[np.generic]
Value = bool | int | float | str | Array | None
"""A metadata value. None stands for an array that was skipped."""

MAX_DIMENSIONS = 4
MAX_TENSOR_SIDE = (1 << 63) - 1
MAX_ARRAY = 64 << 20
MAX_ELEMENTS = 4 << 20
"""Array elements that are decoded per file; further arrays are skipped. The largest vocabularies have a tenth of it."""
MIN_PAIR_SIZE = 8 + 4 + 1
MIN_TENSOR_SIZE = 8 + 4 + 4 + 8
DEFAULT_ALIGNMENT = 32

_U16, _BOOL, _STRING, _ARRAY = 2, 7, 8, 9
_NUMBERS = {
    0: "<u1",
    1: "<i1",
    _U16: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    _BOOL: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
"""GGUF's fixed-size value types, as numpy names them."""

SPLIT_NUMBER, SPLIT_COUNT = "split.no", "split.count"
_SPLIT_KEYS = frozenset({SPLIT_NUMBER, SPLIT_COUNT})
"""llama.cpp aborts its process where one of these is not a u16."""


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
        metadata = _MetadataReader(reader, arrays).read(pair_count)
        alignment = _alignment(metadata)
        tensors = _read_tensors(reader, tensor_count)
        start = -(-reader.position // alignment) * alignment
        _check_extents(tensors, alignment, reader.size - start)
        return Gguf(metadata, tensors)


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
    return tensors, pairs


class _MetadataReader:
    """Reads the key-value pairs, with arrays as far as `MAX_ELEMENTS` allows."""

    def __init__(self, reader: HeaderReader, arrays: bool) -> None:
        self._reader = reader
        self._elements_left = MAX_ELEMENTS if arrays else 0

    def read(self, count: int) -> dict[str, Value]:
        pairs: dict[str, Value] = {}
        for _ in range(count):
            key = self._reader.string()
            if key in pairs:
                raise InvalidGgufError("it has a metadata key twice")
            kind = self._reader.u32()
            if key in _SPLIT_KEYS and kind != _U16:
                raise InvalidGgufError(f"its {key} has the wrong type")
            pairs[key] = self._value(kind)
        return pairs

    def _value(self, kind: int) -> Value:
        if kind == _STRING:
            return self._reader.string()
        if kind == _ARRAY:
            return self._array()
        kind_of_number = _number_type(kind)
        return _to_python(np.frombuffer(self._reader.take(kind_of_number.itemsize), kind_of_number)[0])

    def _array(self) -> Array | None:
        kind, count = self._reader.u32(), self._reader.u64()
        if count > MAX_ARRAY:
            raise InvalidGgufError("an array of its metadata is too long")
        is_read = count <= self._elements_left
        if is_read:
            self._elements_left -= count
        return self._strings(count, is_read) if kind == _STRING else self._numbers(_number_type(kind), count, is_read)

    def _strings(self, count: int, is_read: bool) -> list[str] | None:
        self._reader.require(count * 8)
        if is_read:
            return [self._reader.string() for _ in range(count)]
        self._reader.skip_strings(count)
        return None

    def _numbers(self, kind: np.dtype[np.generic], count: int, is_read: bool) -> NDArray[np.generic] | None:
        if is_read:
            return np.frombuffer(self._reader.take(count * kind.itemsize), kind)
        self._reader.skip(count * kind.itemsize)
        return None


def _number_type(kind: int) -> np.dtype[np.generic]:
    if kind not in _NUMBERS:
        raise InvalidGgufError("its metadata has a value of unknown type")
    return np.dtype(_NUMBERS[kind])


def _to_python(number: np.generic) -> bool | int | float:
    """The Python number that prints like `number`: an f32 of 1e-05 becomes 1e-05, not 9.999999747378752e-06."""
    return float(str(number)) if number.dtype == np.float32 else number.item()


def _alignment(metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise InvalidGgufError("its alignment is no power of two")
    return alignment


def _read_tensors(reader: HeaderReader, count: int) -> tuple[Tensor, ...]:
    tensors = tuple(_read_tensor(reader) for _ in range(count))
    if len({tensor.name for tensor in tensors}) != count:
        raise InvalidGgufError("it has two tensors of one name")
    return tensors


def _read_tensor(reader: HeaderReader) -> Tensor:
    name, dimensions = reader.string(), reader.u32()
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise InvalidGgufError(f"a tensor has {dimensions} dimensions")
    shape = tuple(reader.u64() for _ in range(dimensions))
    kind = TENSOR_TYPES.get(reader.u32())
    if kind is None:
        raise InvalidGgufError("a tensor has an unknown type")
    if max(shape) > MAX_TENSOR_SIDE or shape[0] % kind.block:
        raise InvalidGgufError("a tensor has an impossible shape")
    return Tensor(name, kind, shape, reader.u64())


def _check_extents(tensors: tuple[Tensor, ...], alignment: int, available: int) -> None:
    for tensor in tensors:
        if tensor.offset % alignment:
            raise InvalidGgufError("a tensor is not aligned")
        if tensor.offset + tensor.size > available:
            raise InvalidGgufError("a tensor reaches beyond the end of the file: it is truncated or corrupt")
