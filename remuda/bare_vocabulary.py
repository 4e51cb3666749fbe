"""Loads the vocabulary of a model by llama.cpp, without its weights."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import llama_cpp.llama_cpp as _untyped

C: Any = _untyped  # the bindings are only partly typed


_kept: list[Any] = []
"""The present receiver of log lines, to which llama.cpp has only a pointer."""


def load_vocabulary(files: Sequence[str]) -> Any:
    """llama.cpp's model of these files, all that a model is split into; nothing where it refuses them."""
    params = C.llama_model_default_params()
    params.vocab_only = True
    no_devices = (ctypes.c_void_p * 1)()  # or else llama.cpp opens each GPU
    params.devices = ctypes.cast(no_devices, ctypes.c_void_p)
    names = (ctypes.c_char_p * len(files))(*(file.encode() for file in files))
    return C.llama_model_load_from_splits(names, len(files), params)


def send_log_to(receive: Callable[[int, bytes, Any], None]) -> None:
    """Has the log lines of llama.cpp, which is one for the process, sent to `receive` with their level."""
    callback = C.llama_log_callback(receive)
    _kept[:] = [callback]
    C.llama_log_set(callback, ctypes.c_void_p(0))


def drop_line(level: int, text: bytes, data: Any) -> None:
    """Receives a log line for nobody."""
    del level, text, data
