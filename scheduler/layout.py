"""How a model's parts lie on devices, and what each device then holds. All sizes are those of a dry run."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from remuda.v1 import wire_pb2 as wire


@dataclass(frozen=True, slots=True)
class Layout:
    """Bytes on the GPUs, in their order, and in host memory; how many layers each GPU has.

    The output layer counts as one, and lies with the last of them, as in llama.cpp.
    """

    gpus: tuple[int, ...]
    host: int
    layers: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.gpus) + self.host


class Sizes:
    """The sizes of the parts of one model with a number of slots: input, layers, output, buffers."""

    def __init__(self, footprint: wire.Footprint) -> None:
        self.slots = footprint.slots
        self._footprint = footprint
        layers = [*map(sum, zip(footprint.weights, footprint.cache, strict=True)), footprint.output]
        self._before = list(accumulate(layers, initial=0))  # bytes of the layers before each one, and of all

    @property
    def layers(self) -> int:
        """How many layers there are, the output layer included."""
        return len(self._before) - 1

    def on_cpu(self) -> Layout:
        """Everything in host memory."""
        layout = self.on_gpus([])
        return Layout((), layout.host + self._footprint.companions, ())

    def on_gpus(self, counts: Sequence[int]) -> Layout:
        """So many of the last layers on each GPU; those before them in host memory."""
        footprint = self._footprint
        first = self.layers - sum(counts)
        ends = [first, *(first + count for count in accumulate(counts))]
        gpus = [
            self._before[end] - self._before[start] + (footprint.compute if end > start else 0)
            for start, end in pairwise(ends)
        ]
        if gpus:
            gpus[-1] += footprint.companions
        host = footprint.input + footprint.host + self._before[first] + (footprint.compute if first else 0)
        return Layout(tuple(gpus), host, tuple(counts))

    def most_layers(self, rooms: Sequence[int], limit: int) -> Layout:
        """As many of the last layers, up to `limit`, as fit GPUs with so much room each."""
        counts: list[int] = []
        end, first = self.layers, self.layers - limit
        for number, room in enumerate(reversed(rooms)):  # the last GPU has the output layer
            left = room - self._footprint.compute - (self._footprint.companions if number == 0 else 0)
            start = end
            while start > first and self._before[end] - self._before[start - 1] <= left:
                start -= 1
            counts.append(end - start)
            end = start
        return self.on_gpus(counts[::-1])

    def proportional(self, gpus: Sequence[int]) -> Layout:
        """All layers, on each GPU about in proportion to its room."""
        total, size = max(sum(gpus), 1), self._before[-1]
        borders = [size * end // total for end in accumulate(gpus)]
        ends = [self._nearest(border) for border in borders[:-1]] + [self.layers]
        return self.on_gpus([end - start for start, end in pairwise([0, *ends])])

    def _nearest(self, size: int) -> int:
        """How many first layers have about so many bytes."""
        return min(range(self.layers + 1), key=lambda count: abs(self._before[count] - size))
