"""`python -m workers.host.devices.engine_child SECONDS`: prints llama.cpp's devices as JSON, once, and ends.

It imports little, because an operator waits for it at each start. After SECONDS the kernel ends it.
"""

import ctypes
import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

LIBRARY = "libggml.dylib" if sys.platform == "darwin" else "libggml.so"


class Properties(ctypes.Structure):
    """ggml-backend.h's ggml_backend_dev_props."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("memory_free", ctypes.c_size_t),
        ("memory_total", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("capabilities", ctypes.c_bool * 4),
    ]


def main() -> None:
    signal.alarm(int(sys.argv[1]))
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a driver may print
    answer.write(json.dumps(listing(open_library())))
    answer.flush()
    os._exit(0)  # some drivers die of being closed


def open_library() -> ctypes.CDLL:
    """llama.cpp's library as the bindings find it, without what they import."""
    folder = os.environ.get("LLAMA_CPP_LIB_PATH")
    spec = importlib.util.find_spec("llama_cpp")
    if not folder and (spec is None or spec.origin is None):
        raise SystemExit("llama-cpp-python is not installed")
    home = Path(folder) if folder else Path(str(spec and spec.origin)).parent / "lib"
    library = ctypes.CDLL(str(home / LIBRARY))
    for name in ("reg_get", "reg_dev_get"):
        getattr(library, f"ggml_backend_{name}").restype = ctypes.c_void_p
    for name in ("reg_count", "reg_dev_count"):
        getattr(library, f"ggml_backend_{name}").restype = ctypes.c_size_t
    library.ggml_backend_reg_name.restype = ctypes.c_char_p
    if not library.ggml_backend_reg_count():  # as llama_backend_init does where backends are files of their own
        library.ggml_backend_load_all()
    return library


def listing(library: Any) -> dict[str, list[Any]]:
    """The names of all backends, and their devices."""
    backends = [_pointer(library.ggml_backend_reg_get, index) for index in range(library.ggml_backend_reg_count())]
    names = {backend.value: _text(library.ggml_backend_reg_name(backend)) for backend in backends}
    devices = [
        {"backend": names[backend.value]} | _properties(library, _pointer(library.ggml_backend_reg_dev_get, backend, i))
        for backend in backends
        for i in range(library.ggml_backend_reg_dev_count(backend))
    ]
    return {"backends": [*names.values()], "devices": devices}


def _pointer(function: Any, *arguments: Any) -> ctypes.c_void_p:
    *pointers, index = arguments
    return ctypes.c_void_p(function(*pointers, ctypes.c_size_t(index)))


def _properties(library: Any, device: ctypes.c_void_p) -> dict[str, Any]:
    """Opens the device, which takes memory on it until this process ends."""
    properties = Properties()
    library.ggml_backend_dev_get_props(device, ctypes.byref(properties))
    return {
        "description": _text(properties.description),
        "type": properties.type,
        "total": properties.memory_total,
        "free": properties.memory_free,
        "pci_id": _text(properties.device_id),
    }


def _text(text: bytes | None) -> str:
    return (text or b"").decode("utf-8", "replace")


if __name__ == "__main__":
    main()
