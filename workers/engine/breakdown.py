"""Exact bytes of what llama.cpp holds, or would hold for a model without weights: its own breakdowns of memory.

Their functions are C++ and in no stable binding (llama-ext.h, mtmd.cpp). They return a std::map, whose nodes this file
reads as GNU's library lays them out. The maps are never freed: only short-lived processes call this.
"""

import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workers.engine.llama import C, LoadError
from workers.engine.media.mtmd import M

CONTEXT_FUNCTION = "_Z26llama_get_memory_breakdownPK13llama_context"
PROJECTOR_FUNCTION = "_Z21mtmd_get_memory_usagePKc19mtmd_context_params"
GPUS = frozenset({1, 2})
"""Kinds of devices that are GPUs: ggml-backend.h's GGML_BACKEND_DEVICE_TYPE_GPU and ..._IGPU."""


class _Map(ctypes.Structure):
    """A std::map of GNU's library. All but the root and the count is the library's own."""

    _fields_ = [
        ("compare", ctypes.c_uint64),
        ("color", ctypes.c_uint64),
        ("root", ctypes.c_void_p),
        ("leftmost", ctypes.c_void_p),
        ("rightmost", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
    ]


_LEFT, _RIGHT, _VALUE = 2, 3, 4
"""Places in a node, in words of 8 bytes. The key is the value's first word."""


@dataclass(frozen=True, slots=True)
class ContextMemory:
    """Bytes of a context and its model, in all memories."""

    weights: int
    cache: int
    """KV cache or recurrent states."""
    device: int
    """Compute buffers on GPUs."""
    host: int
    """Compute buffers in host memory."""


def context_memory(context: Any) -> ContextMemory:
    """Returns the memory of llama.cpp's context. Raises LoadError where this build does not tell it."""
    breakdown = _bind(C._lib, CONTEXT_FUNCTION, _Map, ctypes.c_void_p)
    weights = cache = device = host = 0
    for buffer_type, *sizes in _entries(breakdown(context).root, 3):
        weights, cache = weights + sizes[0], cache + sizes[1]
        if _is_on_gpu(buffer_type):
            device += sizes[2]
        else:
            host += sizes[2]
    return ContextMemory(weights, cache, device, host)


def projector_memory(path: str, params: Any) -> int:
    """Returns the bytes that a projector takes with its buffers. Raises LoadError when it cannot be loaded.

    llama.cpp allocates the memory for a moment, but reads no weights.
    """
    usage = _bind(M._libmtmd, PROJECTOR_FUNCTION, _Map, ctypes.c_char_p, M.mtmd_context_params)
    sizes = [size for _, size in _entries(usage(path.encode(), params).root, 1)]
    if not sizes:
        raise LoadError("llama.cpp could not load the projector")
    return sum(sizes)


def _entries(node: int | None, sizes: int) -> Iterator[list[int]]:
    """Gives the key of each entry below a node, and so many sizes."""
    if not node:
        return
    words = ctypes.cast(node, ctypes.POINTER(ctypes.c_uint64))
    yield from _entries(words[_LEFT], sizes)
    yield [words[_VALUE + place] for place in range(1 + sizes)]
    yield from _entries(words[_RIGHT], sizes)


def _is_on_gpu(buffer_type: int) -> bool:
    """Whether buffers of that type lie on a GPU. The host's memory that a GPU's driver gives is the host's."""
    device = _bind(C._lib, "ggml_backend_buft_get_device", ctypes.c_void_p, ctypes.c_void_p)(buffer_type)
    is_host = _bind(C._lib, "ggml_backend_buft_is_host", ctypes.c_bool, ctypes.c_void_p)(buffer_type)
    kind = _bind(C._lib, "ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
    return device is not None and not is_host and kind(device) in GPUS


def _bind(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Binds a function. libllama's handle also finds ggml's library. Raises LoadError where there is none."""
    if sys.platform != "linux":
        raise LoadError("what a model takes is measured on Linux only")
    try:
        return ctypes.CFUNCTYPE(result, *arguments)((name, library))
    except AttributeError:
        raise LoadError("this build of llama.cpp does not tell what a model takes") from None
