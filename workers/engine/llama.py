"""llama.cpp's C API, as the pinned llama-cpp-python binds it; llama.h documents its functions.

Only this folder's modules use it, and wrap it in typed objects. ctypes releases the GIL during every call.
"""

from typing import Any

import llama_cpp.llama_cpp as _untyped

C: Any = _untyped  # the bindings are only partly typed


class LoadError(Exception):
    """The model, or a file that it needs, could not be loaded."""
