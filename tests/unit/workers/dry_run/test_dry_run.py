"""How the bytes of a replica are sorted."""

from typing import cast

import pytest

from workers.dry_run.dry_run import MeasuredContext, footprint_of, in_proportion
from workers.dry_run.weights import Weights
from workers.engine.breakdown import ContextMemory
from workers.engine.context import Context
from workers.engine.model import Model

WEIGHTS = Weights(layers={0: 30, 1: 20}, input=10, output=5, heads={})


def measured(memory: ContextMemory) -> MeasuredContext:
    return MeasuredContext(cast(Context, None), cast(Model, None), memory, output=7, shares={0: 1.0, 1: 3.0})


@pytest.mark.parametrize(
    ("total", "shares", "parts"),
    [(100, [1.0, 3.0], [25, 75]), (10, [1.0, 1.0, 1.0], [3, 4, 3]), (10, [0.0, 0.0], [10, 0]), (0, [], [])],
)
def test_a_total_is_shared_out_exactly(total: int, shares: list[float], parts: list[int]) -> None:
    assert in_proportion(total, shares) == parts
    assert sum(parts) == total


def test_without_a_gpu_the_compute_buffer_is_the_cpus() -> None:
    footprint = footprint_of(measured(ContextMemory(weights=65, cache=8, device=0, host=9)), WEIGHTS, 2, 4)
    assert (footprint.compute, footprint.host, footprint.companions, footprint.slots) == (9, 7, 4, 2)
    assert (list(footprint.weights), list(footprint.cache)) == ([30, 20], [2, 6])


def test_beside_a_gpu_the_host_has_a_compute_buffer_of_its_own() -> None:
    footprint = footprint_of(measured(ContextMemory(weights=65, cache=8, device=50, host=9)), WEIGHTS, 2, 0)
    assert (footprint.compute, footprint.host) == (50, 16)


def test_weights_beyond_the_files_tensors_are_the_outputs() -> None:
    footprint = footprint_of(measured(ContextMemory(weights=75, cache=8, device=50, host=9)), WEIGHTS, 2, 0)
    assert (footprint.input, footprint.output) == (10, 15)
