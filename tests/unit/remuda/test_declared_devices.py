"""Which lists of devices an operator may declare."""

import json
from typing import Any

import pytest

from remuda.declared_devices import parse_declared_devices

GPU = {"id": "gpu0", "kind": "cuda", "index": 0, "total": 200, "free": 150}


def test_nothing_is_declared_by_an_empty_text() -> None:
    assert parse_declared_devices("") is None
    assert parse_declared_devices("[]") == ()


def test_devices_are_read_with_their_sizes() -> None:
    gpu, cpu = parse_declared_devices(json.dumps([GPU, {"id": "ram", "kind": "cpu", "total": 9, "name": "RAM"}])) or ()
    assert (gpu.id, gpu.kind, gpu.index, gpu.total, gpu.bytes_free, gpu.name) == ("gpu0", "cuda", 0, 200, 150, "")
    assert (cpu.kind, cpu.index, cpu.total, cpu.bytes_free, cpu.name) == ("cpu", None, 9, 9, "RAM")


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ("gpu0", "Invalid JSON"),
        ({}, "valid array"),
        (["gpu0"], "0: "),
        ([{**GPU, "kind": "tpu"}], "0.kind: Input should be 'cpu', 'cuda', 'rocm', 'vulkan', 'metal' or 'sycl'"),
        ([{**GPU, "size": 3}], "0.size: Extra inputs are not permitted"),
        ([{**GPU, "id": ""}], "0.id: "),
        ([{**GPU, "index": -1}], "0.index: "),
        ([{**GPU, "index": None}], "0: a GPU needs an index"),
        ([{"id": "ram", "kind": "cpu", "index": 1, "total": 9}], "0: the CPU has no index but 0"),
        ([{**GPU, "total": 0}], "0.total: "),
        ([{**GPU, "total": "200"}], "0.total: Input should be a valid integer"),
        ([{**GPU, "total": 2.5}], "0.total: "),
        ([{**GPU, "total": 1 << 63}], "0.total: "),
        ([{**GPU, "free": 201}], "0: more is free than there is in total"),
        ([{**GPU, "free": -1}], "0.free: "),
        ([GPU, {**GPU, "index": 1}], "two devices have the same id"),
        ([GPU, {**GPU, "id": "gpu1"}], "two devices have the same kind and index"),
    ],
)
def test_anything_else_is_an_error_of_one_line_that_says_where(devices: Any, words: str) -> None:
    text = devices if isinstance(devices, str) else json.dumps(devices)
    with pytest.raises(ValueError, match=r"^REMUDA_DEVICES: [^\n]+$") as error:
        parse_declared_devices(text)
    assert words in str(error.value)
