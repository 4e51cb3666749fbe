"""Reads the key-value pairs of a GGUF header: few of them, short texts, and arrays only where somebody wants them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from store.gguf.reader import HeaderReader, InvalidGgufError
from store.gguf.value_types import ARRAY, F32, STRING, U16, U32, number_type
from store.gguf.vocabulary import COLUMNS, CONTENT_COLUMNS, Column, longest_string

Array = list[str] | NDArray[np.generic]
Value = bool | int | float | str | Array | None
"""A metadata value. None stands for an array that was skipped."""

MAX_TEXT = 2 << 20
"""Bytes of all keys and texts of a file. A chat template takes up to 100 KB; all of it is kept with the header."""
MAX_ARRAY = 64 << 20
MAX_STRINGS = 2 << 20
"""Strings in all arrays of a file. Gemma 4 has 777,000 tokens and merges; to pass over one takes about 0.1 µs."""
MAX_ELEMENTS = 4 << 20
"""Array elements that are decoded per file; further arrays are skipped. The largest vocabularies have a third of it."""

SPLIT_NUMBER, SPLIT_COUNT, ALIGNMENT = "split.no", "split.count", "general.alignment"
_REQUIRED_TYPES = {
    SPLIT_NUMBER: U16,
    SPLIT_COUNT: U16,
    ALIGNMENT: U32,
    "general.type": STRING,
    "general.architecture": STRING,
    "adapter.type": STRING,
    "adapter.lora.alpha": F32,
}
"""Types that llama.cpp relies on: with another one it refuses the file, or aborts its process."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The pairs, and the arrays that make up the vocabulary."""

    pairs: dict[str, Value] = field(default_factory=dict[str, Value])
    columns: dict[str, Column] = field(default_factory=dict[str, Column])


class MetadataReader:
    """Reads the pairs of one file, with `arrays` also its arrays as far as `MAX_ELEMENTS` allows."""

    def __init__(self, reader: HeaderReader, *, arrays: bool) -> None:
        self._reader = reader
        self._elements_left = MAX_ELEMENTS if arrays else 0
        self._strings_left = MAX_STRINGS
        self._text_left = MAX_TEXT
        self._metadata = Metadata()

    def read(self, count: int) -> Metadata:
        """Raises InvalidGgufError."""
        pairs = self._metadata.pairs
        for _ in range(count):
            key = self._text()
            if key in pairs:
                raise InvalidGgufError("it has a metadata key twice")
            if not key:
                raise InvalidGgufError("it has an empty metadata key")
            kind = self._reader.u32()
            if _REQUIRED_TYPES.get(key, kind) != kind:
                raise InvalidGgufError(f"its {key} has the wrong type")
            pairs[key] = self._value(key, kind)
        return self._metadata

    def _text(self) -> str:
        text = self._reader.string(self._text_left)
        self._text_left -= len(text)
        return text.decode(errors="replace")

    def _value(self, key: str, kind: int) -> Value:
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            return self._array(key)
        form = number_type(kind)
        return _to_python(np.frombuffer(self._reader.take(form.itemsize), form)[0])

    def _array(self, key: str) -> Array | None:
        kind, count = self._reader.u32(), self._reader.u64()
        if count > MAX_ARRAY:
            raise InvalidGgufError("an array of its metadata is too long")
        is_decoded = count <= self._elements_left
        if is_decoded:
            self._elements_left -= count
        is_wanted = is_decoded or key in CONTENT_COLUMNS
        column = self._strings(key, count, is_wanted) if kind == STRING else self._numbers(kind, count, is_wanted)
        if key in COLUMNS:
            self._metadata.columns[key] = column
        return _decode(column) if is_decoded else None

    def _strings(self, key: str, count: int, is_wanted: bool) -> Column:
        self._reader.require(count * 8)
        self._strings_left -= count
        if self._strings_left < 0:
            raise InvalidGgufError(f"the arrays of its metadata have more than {MAX_STRINGS} strings")
        longest = longest_string(key, count) or MAX_TEXT
        if is_wanted:
            return Column(STRING, count, strings=self._reader.strings(count, longest))
        self._reader.skip_strings(count, longest)
        return Column(STRING, count)

    def _numbers(self, kind: int, count: int, is_wanted: bool) -> Column:
        size = count * number_type(kind).itemsize
        if is_wanted:
            return Column(kind, count, numbers=self._reader.take(size))
        self._reader.skip(size)
        return Column(kind, count)


def _decode(column: Column) -> Array:
    if column.kind == STRING:
        return [text.decode(errors="replace") for text in column.strings]
    return np.frombuffer(column.numbers, number_type(column.kind))


def _to_python(number: np.generic) -> bool | int | float:
    """The Python number that prints like `number`: an f32 of 1e-05 becomes 1e-05, not 9.999999747378752e-06."""
    return float(str(number)) if number.dtype == np.float32 else number.item()
