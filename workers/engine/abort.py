"""Ends a decode before its time, from another thread."""

import ctypes
from typing import Any

from workers.engine.llama import C


class AbortFlag:
    """What llama.cpp looks at before every node of its graph.

    The callback must not be Python: hundreds of nodes a step would each wait for the interpreter. It has the signature
    of C's own `strlen`, which is 0, so false, for an empty string and 1, so true, for a string of one character.
    Backends without such a callback, CUDA among them, compute to the end.
    """

    def __init__(self, context: Any) -> None:
        self._text = ctypes.create_string_buffer(2)
        callback = ctypes.cast(ctypes.CDLL(None).strlen, C.ggml_abort_callback)
        C.llama_set_abort_callback(context, callback, ctypes.addressof(self._text))

    def raise_(self) -> None:
        """Aborts the decode that runs, or the next one."""
        self._text[0] = b"!"

    def lower(self) -> None:
        """Called before a decode."""
        self._text[0] = b"\0"
