"""What dry runs of imaginary models say."""

from collections.abc import Iterable

from remuda.v1 import wire_pb2 as wire


def footprint(slots: int, *, layer: int = 1, layers: int = 2, cache: int = 0, **rest: int) -> wire.Footprint:
    """Equal layers of `layer` bytes, each with `cache` bytes for each slot. `rest`: the message's other fields."""
    return wire.Footprint(slots=slots, weights=[layer] * layers, cache=[cache * slots] * layers, **rest)


def footprints(slots: Iterable[int], **sizes: int) -> tuple[wire.Footprint, ...]:
    """The answer for several numbers of slots."""
    return tuple(footprint(each, **sizes) for each in slots)
