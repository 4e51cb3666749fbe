"""Which GPUs CUDA_VISIBLE_DEVICES shows."""

import pytest

from workers.host.devices.visible import visible_uuids

A, B, C = UUIDS = ("GPU-a1b2", "GPU-a1c3", "GPU-d4e5")
PARTS = {"MIG-one", "MIG-two", "MIG-GPU-a1b2/1/0"}


@pytest.mark.parametrize(
    ("variable", "visible"),
    [
        (None, [A, B, C]),
        ("", []),
        ("-1", []),
        ("0", [A]),
        ("2,0", [C, A]),
        (" 1 , 2 ", [B, C]),
        ("0,-1,1", [A]),
        ("0,3,1", [A]),
        ("0,,1", [A]),
        ("1gpu,+2", [B, C]),
        ("none", []),
        (C, [C]),
        (f"{C},{A}", [C, A]),
        ("GPU-d", [C]),
        ("GPU-D4E5", [C]),
        ("GPU-a1c,GPU-a1b", [B, A]),
        ("GPU-a1", []),
        ("GPU-d,GPU-a1,GPU-a1b2", [C]),
        ("GPU-d,0", [C]),
        ("0,GPU-d", [A]),
        ("0,0", []),
        ("GPU-d,GPU-d4", []),
        ("MIG-two,MIG-one", ["MIG-two", "MIG-one"]),
        ("MIG-GPU-a1b2/1/0", ["MIG-GPU-a1b2/1/0"]),
        ("MIG-one,MIG-gone,MIG-two", ["MIG-one"]),
        ("MIG-one,0", ["MIG-one"]),
    ],
)
def test_the_variable_shows_what_it_shows_to_cuda(variable: str | None, visible: list[str]) -> None:
    assert visible_uuids(variable, UUIDS, PARTS.__contains__) == visible


def test_a_machine_without_gpus_has_none_to_show() -> None:
    assert visible_uuids(None, (), PARTS.__contains__) == []
    assert visible_uuids("0", (), PARTS.__contains__) == []
