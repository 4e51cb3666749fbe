"""Aborts a running decode from another thread."""

import ctypes
from typing import Any

from workers.engine.llama import C


class AbortFlag:
    """The flag that llama.cpp reads before every node of its graph.

    The callback must not be Python: hundreds of nodes a step would each wait for the interpreter. C's `strlen` has the
    callback's signature. It returns 0 (go on) for an empty string, and 1 (abort) for a string of one character.
    CUDA and other backends without such a callback compute to the end.
    """

    def __init__(self, context: Any) -> None:
        self._text = ctypes.create_string_buffer(2)
        callback = ctypes.cast(ctypes.CDLL(None).strlen, C.ggml_abort_callback)
        C.llama_set_abort_callback(context, callback, ctypes.addressof(self._text))

    def raise_(self) -> None:
        """Aborts the running decode, or the next one."""
        self._text[0] = b"!"

    def lower(self) -> None:
        """Lets the next decode run. Called before each."""
        self._text[0] = b"\0"
