"""What llama.cpp's log alone tells of a load: each cache's layers, the output buffer, and tensors that go unused."""

import re
from collections import defaultdict
from collections.abc import Mapping

MIB = 1 << 20
_LAYER = re.compile(r"layer\s+(\d+): dev = ")
_CACHE = re.compile(r"[:,] size =\s*([\d.]+) MiB")
_OUTPUT = re.compile(r"output buffer size =\s*([\d.]+) MiB")
_UNUSED = re.compile(r"model has unused tensor (\S+) ")


class LoadLog:
    """Receives the log's lines."""

    def __init__(self) -> None:
        self.unused: set[str] = set()
        """Tensors that the model's files have and llama.cpp leaves there."""
        self.begin_context({})

    def begin_context(self, heads: Mapping[int, int]) -> None:
        """Forgets the last context. `heads` gives the number of attention heads in the cache, by the layer; unequal
        layers take a cache's memory in this proportion."""
        self.output = 0
        """Bytes of the context's output buffer, rounded to hundredths of a MiB."""
        self.shares: defaultdict[int, float] = defaultdict(float)
        """MiB in the context's caches, by the layer, rounded."""
        self._heads = heads
        self._layers: list[int] = []  # of the cache that the log tells of

    def receive(self, line: str) -> None:
        """Reads a line."""
        if match := _LAYER.search(line):
            self._layers.append(int(match[1]))
        elif match := _OUTPUT.search(line):
            self.output = round(float(match[1]) * MIB)
        elif match := _UNUSED.search(line):
            self.unused.add(match[1])
        elif self._layers and (match := _CACHE.search(line)):
            self._share_out(float(match[1]))

    def _share_out(self, mib: float) -> None:
        weights = {layer: self._heads.get(layer) or 1 for layer in self._layers}
        for layer, weight in weights.items():
            self.shares[layer] += mib * weight / sum(weights.values())
        self._layers = []
