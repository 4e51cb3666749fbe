"""The scheduler's core in a random world: whatever happens, the invariants hold and nobody waits for ever."""

import pytest
from support.world import World

STEPS = 40_000
"""Of each seed; about every second one is an event for the core."""


@pytest.mark.parametrize(("replicas", "gpus"), [(1, 0), (3, 0), (1, 2), (3, 3)])
@pytest.mark.parametrize("seed", range(6))
def test_a_random_world_never_breaks_an_invariant_and_settles(seed: int, replicas: int, gpus: int) -> None:
    world = World(seed, slots=1 + seed % 3, models=1 + seed % 3, replicas=replicas, gpus=gpus)
    for _ in range(STEPS):
        world.step()
    world.settle()
    assert not world.open
    assert not world.core.state.requests or all(key in world.cancelled for key in world.core.state.requests)
    assert {"finished", "lost", "rejected", "running"} <= set(world.ended.values())
    assert world.events > STEPS // 3
    assert min(2, replicas) <= world.most_replicas <= replicas


def test_the_same_seed_gives_the_same_history() -> None:
    one, other = World(1), World(1)
    for _ in range(500):
        one.step()
        other.step()
    assert one.ended == other.ended
