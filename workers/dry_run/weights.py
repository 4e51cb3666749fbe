"""Bytes of a model's weights by where they belong: a layer, the input or the output."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from workers.engine.gguf_file import open_gguf

INPUT = frozenset({"token_embd", "position_embd", "token_types", "per_layer_token_embd"})
"""Tensors that llama.cpp keeps in host memory: its LLM_TENSOR_LAYER_INPUT."""
_LAYER = re.compile(r"(?:^|\.)blk\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes of a model's tensors. `heads` is the number of attention heads in the cache by the layer, where layers
    differ."""

    layers: Mapping[int, int]
    input: int
    output: int
    heads: Mapping[int, int]

    @property
    def total(self) -> int:
        return sum(self.layers.values()) + self.input + self.output


def read_weights(paths: Sequence[str], unused: Collection[str]) -> Weights:
    """Reads the lists of tensors of all files of a model that llama.cpp has loaded, without those it does not use."""
    tensors: dict[str, int] = {}
    heads: list[int] = []
    with ExitStack() as stack:
        for path in paths:
            if file := stack.enter_context(open_gguf(path)):
                tensors |= file.tensors()
                heads = heads or file.own_numbers("attention.head_count_kv")
    return _sorted({name: size for name, size in tensors.items() if name not in unused}, heads)


def _sorted(tensors: Mapping[str, int], heads: Sequence[int]) -> Weights:
    layers = defaultdict[int, int](int)
    ends = {True: 0, False: 0}
    for name, size in tensors.items():
        if match := _LAYER.search(name):
            layers[int(match[1])] += size
        else:
            ends[name.partition(".")[0] in INPUT] += size
    return Weights(layers, ends[True], ends[False], dict(enumerate(heads)))
