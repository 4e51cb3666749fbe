"""LoRA adapters of one context. A thread loads them, so that no stream waits for a file."""

import ctypes
from collections import Counter, OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

from workers.engine.llama import C, LoadError
from workers.engine.model import Model

AdapterPaths: TypeAlias = tuple[str, ...]
"""GGUF files of adapters that apply together."""


class Adapters:
    """Adapters by their paths. Some stay loaded after their last request."""

    def __init__(self, model: Model, context: Any, kept: int) -> None:
        """`context` is llama.cpp's pointer to the generating context. Beyond `kept` adapters, unused ones are freed."""
        self._model = model
        self._context = context
        self._kept = kept
        self._thread = ThreadPoolExecutor(1, "adapters")
        self._loaded: OrderedDict[str, Future[Any]] = OrderedDict()  # least recently used first
        self._users: Counter[str] = Counter()
        self._applied: AdapterPaths = ()
        self._planning = False  # the next decode plans its graph anew, and reads the list of adapters

    @property
    def loading(self) -> bool:
        return any(not loaded.done() for loaded in self._loaded.values())

    def acquire(self, paths: AdapterPaths) -> list[Future[Any]]:
        """Loads a request's adapters and holds them until `release`. The futures may raise LoadError."""
        self._free_unused()
        self._users.update(paths)
        for path in paths:
            if path not in self._loaded:
                self._loaded[path] = self._thread.submit(self._load, path)
            self._loaded.move_to_end(path)
        return [self._loaded[path] for path in paths]

    def release(self, paths: AdapterPaths) -> None:
        """Releases a request's adapters."""
        self._users.subtract(paths)
        self._free_unused()

    def apply(self, paths: AdapterPaths) -> None:
        """Makes these loaded adapters the only ones of the next decodes. `decoded` must follow the next decode. Waits
        while another adapter loads."""
        if paths == self._applied:
            return
        if not self._planning:
            self._model.adapters_lock.acquire()
            self._planning = True
        adapters = [self._loaded[path].result() for path in paths]
        count = len(adapters)
        pointers, scales = (C.llama_adapter_lora_p_ctypes * count)(*adapters), (ctypes.c_float * count)(*[1.0] * count)
        C.llama_set_adapters_lora(self._context, pointers, count, scales)
        self._applied = paths

    def decoded(self) -> None:
        """Ends the planning of a graph. Called after every decode."""
        if self._planning:
            self._planning = False
            self._model.adapters_lock.release()

    def _load(self, path: str) -> Any:
        with self._model.adapters_lock:
            adapter = C.llama_adapter_lora_init(self._model.pointer, path.encode())
        if not adapter:
            raise LoadError("llama.cpp could not load the adapter: it is broken, or made for another model")
        return adapter

    def _free(self, adapter: Any) -> None:
        with self._model.adapters_lock:
            C.llama_adapter_lora_free(adapter)

    def _free_unused(self) -> None:
        """Forgets failed adapters, and frees the least recently used ones beyond the limit."""
        idle = [path for path in self._loaded if not self._users[path] and path not in self._applied]
        for path in idle:
            loaded = self._loaded[path]
            if loaded.cancel() or (loaded.done() and loaded.exception()):
                del self._loaded[path]
            elif loaded.done() and len(self._loaded) > self._kept:
                self._thread.submit(self._free, self._loaded.pop(path).result())
