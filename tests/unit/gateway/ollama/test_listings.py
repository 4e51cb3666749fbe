"""What `/api/ps` lists."""

import pytest

from gateway.ollama.listings import running
from remuda.v1 import serving_pb2 as pb

SECOND = 1_000_000_000


def resident(name: str, expires_s: int, state: str = "ready") -> pb.Resident:
    return pb.Resident(
        model=pb.ModelSpec(name=name),
        size=10,
        size_vram=4,
        slots=2,
        num_ctx=4096,
        state=state,
        expires_at_ns=expires_s * SECOND,
    )


def test_the_replicas_of_a_model_are_one_entry() -> None:
    first, other = running([resident("a:1", 100), resident("b:1", 150), resident("a:1", 200)])
    assert (first["name"], other["name"]) == ("a:1", "b:1")
    assert (first["size"], first["size_vram"], first["slots"], first["replicas"]) == (20, 8, 4, 2)
    assert first["expires_at"] > other["expires_at"]
    assert (other["size"], other["replicas"]) == (10, 1)


@pytest.mark.parametrize("state", ["draining", "stopping"])
def test_a_replica_that_leaves_is_not_listed(state: str) -> None:
    (model,) = running([resident("a:1", 100), resident("a:1", 200, state)])
    assert model["replicas"] == 1
    assert running([resident("a:1", 100, state)]) == []
