"""The header of a GGUF file, read by llama.cpp's own reader (gguf.h)."""

import ctypes
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from workers.engine.llama import C

UINT32, INT32, STRING, ARRAY = 4, 5, 8, 9
"""gguf.h's types of values."""


class _Params(ctypes.Structure):
    """gguf.h's gguf_init_params."""

    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p)]


def _bind(name: str, result: Any, *arguments: Any) -> Any:
    """Binds a function of gguf.h. libllama's handle also finds ggml's library, which has it."""
    return ctypes.CFUNCTYPE(result, *arguments)((name, C._lib))


_FILE, _INDEX = ctypes.c_void_p, ctypes.c_int64
_open = _bind("gguf_init_from_file", ctypes.c_void_p, ctypes.c_char_p, _Params)
_close = _bind("gguf_free", None, _FILE)
_find_key = _bind("gguf_find_key", ctypes.c_int64, _FILE, ctypes.c_char_p)
_type = _bind("gguf_get_kv_type", ctypes.c_int, _FILE, _INDEX)
_string = _bind("gguf_get_val_str", ctypes.c_char_p, _FILE, _INDEX)
_number = _bind("gguf_get_val_u32", ctypes.c_uint32, _FILE, _INDEX)
_array_type = _bind("gguf_get_arr_type", ctypes.c_int, _FILE, _INDEX)
_array_length = _bind("gguf_get_arr_n", ctypes.c_size_t, _FILE, _INDEX)
_array = _bind("gguf_get_arr_data", ctypes.c_void_p, _FILE, _INDEX)
_tensor_count = _bind("gguf_get_n_tensors", ctypes.c_int64, _FILE)
_tensor_name = _bind("gguf_get_tensor_name", ctypes.c_char_p, _FILE, _INDEX)
_tensor_size = _bind("gguf_get_tensor_size", ctypes.c_size_t, _FILE, _INDEX)


class GgufFile:
    """An open file's metadata and its list of tensors."""

    def __init__(self, pointer: Any) -> None:
        self._pointer = pointer

    @property
    def architecture(self) -> str:
        """Empty = it is missing."""
        key = self._find("general.architecture", STRING)
        return _string(self._pointer, key).decode("utf-8", "replace") if key >= 0 else ""

    def own_number(self, key: str) -> int:
        """Returns the number at an architecture's own `key`, 0 = it is missing."""
        place = self._find(f"{self.architecture}.{key}", UINT32)
        return _number(self._pointer, place) if place >= 0 else 0

    def own_numbers(self, key: str) -> list[int]:
        """Returns the array of numbers at an architecture's own `key`, empty = there is none."""
        place = self._find(f"{self.architecture}.{key}", ARRAY)
        if place < 0 or _array_type(self._pointer, place) not in (UINT32, INT32):
            return []
        values = ctypes.cast(_array(self._pointer, place), ctypes.POINTER(ctypes.c_uint32))
        return values[: _array_length(self._pointer, place)]

    def tensors(self) -> dict[str, int]:
        """Returns the bytes of each tensor by its name."""
        return {
            _tensor_name(self._pointer, place).decode("utf-8", "replace"): _tensor_size(self._pointer, place)
            for place in range(_tensor_count(self._pointer))
        }

    def _find(self, key: str, kind: int) -> int:
        """Returns the place of a value of that type, negative = there is none."""
        place: int = _find_key(self._pointer, key.encode())
        return place if place >= 0 and _type(self._pointer, place) == kind else -1


@contextmanager
def open_gguf(path: str) -> Generator[GgufFile | None]:
    """Gives the file, None where llama.cpp cannot read it, until the context ends."""
    pointer = _open(path.encode(), _Params(no_alloc=True))
    try:
        yield GgufFile(pointer) if pointer else None
    finally:
        if pointer:
            _close(pointer)
