"""GGUF's types of metadata values, by their numbers in files."""

import numpy as np

from store.gguf.reader import InvalidGgufError

U8, I8, U16, U32, I32, F32, BOOL, STRING, ARRAY = 0, 1, 2, 4, 5, 6, 7, 8, 9
_NUMBERS = {
    U8: "<u1",
    I8: "<i1",
    U16: "<u2",
    3: "<i2",
    U32: "<u4",
    I32: "<i4",
    F32: "<f4",
    BOOL: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
"""The types of fixed size, as numpy names them."""


def number_type(kind: int) -> np.dtype[np.generic]:
    """The form of a number of that type. Raises InvalidGgufError where there is no such type."""
    if kind not in _NUMBERS:
        raise InvalidGgufError("its metadata has a value of unknown type")
    return np.dtype(_NUMBERS[kind])
