"""llama.cpp's C API, as the pinned llama-cpp-python binds it; its functions are documented in llama.h. Only the modules
of this folder that wrap it in typed objects use it. ctypes releases the GIL during every call.
"""

from typing import Any

import llama_cpp.llama_cpp as _untyped

C: Any = _untyped  # the bindings are only partly typed


class LoadError(Exception):
    """The model, or something that it needs, could not be loaded."""
