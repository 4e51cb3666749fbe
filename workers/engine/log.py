"""The log of llama.cpp and mtmd: warnings for our log, reasons for a failed load, and sizes of buffers."""

import ctypes
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from remuda.logs import get_logger
from workers.engine.llama import C
from workers.engine.media.mtmd import M

log = get_logger()

DEBUG, WARN, ERROR = 1, 3, 4
_EXPECTED = re.compile(
    r"failed with error 1$|compute status: 1$|failed to decode, ret = [12]$|find a memory slot"
    r"|find (\d+ )?available cells|restore (kv cache|sequence state)$|failed to prepare [a-z ]+ ubatches$"
)
"""Messages about decodes that we aborted, and about a full KV cache, which the engine handles."""
MIB = 1 << 20
LINES_KEPT = 20
_BUFFER = re.compile(r"(\S+)\s+(model|KV|RS|compute|output)\s+buffer size =\s*([\d.]+) MiB")
_PROJECTOR_BACKEND = re.compile(r"CLIP using (\S+) backend")
_PROJECTOR_WEIGHTS = re.compile(r"load_hparams: model size:\s*([\d.]+) MiB")
_ENCODER = re.compile(r"warmup with (image|audio) size")
"""Said before the compute buffer of each of a projector's encoders."""
_SEVERAL = ("model", "KV", "RS")
_NOISE = ("llama_model_load_from_file_impl: ", "llama_model_load: ")


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes of memory that the loaded model takes."""

    total: int
    vram: int


class EngineLog:
    """Receives llama.cpp's log until the process ends."""

    def __init__(self, *, verbose: bool, listener: Callable[[str], None] | None = None) -> None:
        """`listener` gets every line."""
        self._verbose = verbose
        self._listener = listener
        self._errors: deque[str] = deque(maxlen=LINES_KEPT)
        self._buffers: dict[tuple[int, str, str], float] = {}
        self._context = 0
        self._encoder = ""
        self._projector_backend = "CPU"
        self._callback = C.llama_log_callback(self._receive)  # llama.cpp keeps the pointer, so we keep the object
        C.llama_log_set(self._callback, ctypes.c_void_p(0))
        M.mtmd_helper_log_set(self._callback, None)

    def explain(self, failure: str) -> str:
        """Returns the failure, followed by llama.cpp's first error."""
        return f"{failure}: {self._errors[0]}" if self._errors else failure

    def begin_context(self) -> None:
        """Counts the next buffers as another context's. Of each context the last reported size counts."""
        self._context += 1
        self._encoder = ""

    def memory(self) -> MemoryUse:
        """Returns the sizes of all buffers so far. Buffers that are not the host's are on GPUs."""
        sizes = {key: int(mib * MIB) for key, mib in self._buffers.items()}
        on_gpu = sum(size for (_, backend, _), size in sizes.items() if not _is_host(backend))
        return MemoryUse(total=sum(sizes.values()), vram=on_gpu)

    def _receive(self, level: int, text: bytes, _: Any) -> None:
        line = text.decode("utf-8", "replace").strip()
        if self._listener is not None:
            self._listener(line)
        if match := _BUFFER.search(line):
            self._count(*match.groups())
        elif match := _ENCODER.search(line):
            self._encoder = f" {match[1]}"
        elif match := _PROJECTOR_BACKEND.search(line):
            self._projector_backend = match[1]
        elif match := _PROJECTOR_WEIGHTS.search(line):
            self._buffers[self._context, self._projector_backend, "projector"] = float(match[1])
        if _EXPECTED.search(line):
            level = DEBUG
        if level == ERROR and line:
            self._errors.append(_without_paths(line))
            log.error("llama.cpp", message=line)
        elif level == WARN and line:
            log.warning("llama.cpp", message=line)
        elif self._verbose and line.strip("."):
            log.debug("llama.cpp", message=line)

    def _count(self, backend: str, kind: str, mib: str) -> None:
        """Adds up what comes in several buffers: the weights of a split model, a cache for each kind of layers. Any
        other size replaces the last report."""
        key = self._context, backend, f"{kind}{self._encoder}"
        self._buffers[key] = float(mib) + (self._buffers.get(key, 0) if kind in _SEVERAL else 0)


def _is_host(backend: str) -> bool:
    return backend.startswith(("CPU", "BLAS")) or backend.endswith("_Host")


def _without_paths(line: str) -> str:
    """Removes file paths: clients may read the reason."""
    for noise in _NOISE:
        line = line.removeprefix(noise)
    return re.sub(r"'?/\S+'?", "the file", line)
