"""llama.cpp's multimodal C API (mtmd), as the pinned llama-cpp-python binds it; its functions are documented in mtmd.h
and mtmd-helper.h. Only the modules of this folder use it, and the engine's log.
"""

from typing import Any

import llama_cpp.mtmd_cpp as _untyped

M: Any = _untyped  # the bindings are only partly typed
