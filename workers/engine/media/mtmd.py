"""llama.cpp's multimodal C API (mtmd), as the pinned llama-cpp-python binds it.

mtmd.h and mtmd-helper.h document its functions. Only this folder's modules and the engine's log use it.
"""

from typing import Any

import llama_cpp.mtmd_cpp as _untyped

M: Any = _untyped  # the bindings are only partly typed
