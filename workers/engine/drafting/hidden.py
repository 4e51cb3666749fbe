"""Hidden states: the input of multi-token prediction heads, computed by the model's trunk.

Their functions are in llama-ext.h, the staging ground of llama.cpp's C API, and in no stable binding. A build without
them makes no drafts by heads; all else works.
"""

import importlib
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _load() -> ModuleType | None:
    try:
        return importlib.import_module("llama_cpp.llama_cpp_ext")
    except (ImportError, AttributeError):  # the module is missing, or a function that it binds
        return None


_EXTENSION: Any = _load()

AVAILABLE = _EXTENSION is not None
"""Whether this build returns hidden states."""


class HiddenStates:
    """The hidden states that the decodes of a context leave beside the logits."""

    def __init__(self, context: Any, size: int, *, wanted_only: bool) -> None:
        """`wanted_only` leaves states of rows with logits only, otherwise of all rows. A state has `size` numbers."""
        self._context = context
        self._size = size
        _EXTENSION.llama_set_embeddings_nextn(context, True, wanted_only)

    def rows(self, count: int) -> NDArray[np.float32]:
        """Returns the states of the last decode, (count, size), in the order of its rows. The next decode overwrites
        them."""
        return np.ctypeslib.as_array(_EXTENSION.llama_get_embeddings_nextn(self._context), (count, self._size))
