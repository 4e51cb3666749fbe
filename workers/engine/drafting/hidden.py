"""Hidden states: what a model's trunk hands to its multi-token prediction heads.

The functions for that are in llama-ext.h, llama.cpp's staging ground for its C API, and in no stable binding. Where a
build lacks them there are no drafts by heads, and all else works.
"""

import importlib
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _load() -> ModuleType | None:
    try:
        return importlib.import_module("llama_cpp.llama_cpp_ext")
    except (ImportError, AttributeError):  # the module, or a function that it binds
        return None


_EXTENSION: Any = _load()

AVAILABLE = _EXTENSION is not None
"""Whether this build hands out hidden states."""


class HiddenStates:
    """What a context's decodes leave of hidden states beside the logits."""

    def __init__(self, context: Any, size: int, *, wanted_only: bool) -> None:
        """Of rows that want logits only, or of all rows. Each state has `size` numbers."""
        self._context = context
        self._size = size
        _EXTENSION.llama_set_embeddings_nextn(context, True, wanted_only)

    def rows(self, count: int) -> NDArray[np.float32]:
        """Those of the last decode, (count, size), in the order of its rows; valid until the next one."""
        return np.ctypeslib.as_array(_EXTENSION.llama_get_embeddings_nextn(self._context), (count, self._size))
