"""LoRA adapters of one context: loaded in a thread of their own, so that no stream waits for a file."""

import ctypes
from collections import Counter, OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from workers.engine.llama import C, LoadError

Paths = tuple[str, ...]


class Adapters:
    """GGUF files by their paths. Those that no request uses stay loaded, up to a number of them."""

    def __init__(self, model: Any, context: Any, kept: int) -> None:
        """llama.cpp's pointers to the model and to the context that generates; adapters that stay loaded at most."""
        self._model = model
        self._context = context
        self._kept = kept
        self._thread = ThreadPoolExecutor(1, "adapters")
        self._loaded: OrderedDict[str, Future[Any]] = OrderedDict()  # least recently used first
        self._users: Counter[str] = Counter()
        self._applied: Paths = ()

    def acquire(self, paths: Paths) -> list[Future[Any]]:
        """Adapters for a request, which are done when they are loaded. They raise LoadError. They stay until they are
        released as often as acquired."""
        self._free_unused()
        self._users.update(paths)
        for path in paths:
            if path not in self._loaded:
                self._loaded[path] = self._thread.submit(_load, self._model, path)
            self._loaded.move_to_end(path)
        return [self._loaded[path] for path in paths]

    def release(self, paths: Paths) -> None:
        """Takes it that a request needs them no longer."""
        self._users.subtract(paths)
        self._free_unused()

    def apply(self, paths: Paths) -> None:
        """Applies these, which are loaded, and no others from the next decode on."""
        if paths == self._applied:
            return
        adapters = [self._loaded[path].result() for path in paths]
        count = len(adapters)
        pointers, scales = (C.llama_adapter_lora_p_ctypes * count)(*adapters), (ctypes.c_float * count)(*[1.0] * count)
        C.llama_set_adapters_lora(self._context, pointers, count, scales)
        self._applied = paths

    def _free_unused(self) -> None:
        """Frees what failed, and the ones used longest ago where there are many. llama.cpp's list of a model's adapters
        is changed in one thread alone."""
        idle = [path for path in self._loaded if not self._users[path] and path not in self._applied]
        for path in idle:
            loaded = self._loaded[path]
            if loaded.cancel() or (loaded.done() and loaded.exception()):
                del self._loaded[path]
            elif loaded.done() and len(self._loaded) > self._kept:
                self._thread.submit(C.llama_adapter_lora_free, self._loaded.pop(path).result())


def _load(model: Any, path: str) -> Any:
    adapter = C.llama_adapter_lora_init(model, path.encode())
    if not adapter:
        raise LoadError("llama.cpp could not load the adapter: it is broken, or made for another model")
    return adapter
