"""Where a model's weights belong, by the names of its tensors."""

from pathlib import Path

import pytest
from support.memory_models import HEADS, INNER, WIDTH, write_hybrid, write_plain
from support.split_models import split_gguf

from workers.dry_run.weights import Weights, read_weights

NUMBER = 4
"""Bytes of a float32."""


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_plain(tmp_path / "model.gguf")


def read(*paths: Path, unused: tuple[str, ...] = ()) -> Weights:
    return read_weights([str(path) for path in paths], unused)


def test_each_tensor_belongs_to_its_layer_or_to_the_input_or_to_the_output(plain: Path) -> None:
    weights = read(plain)
    layer = NUMBER * (4 * WIDTH * WIDTH + 3 * WIDTH * INNER + 2 * WIDTH)
    assert dict(weights.layers) == {0: layer, 1: layer}
    assert weights.output - weights.input == NUMBER * WIDTH  # the last norm, beside two matrices of the same shape
    assert weights.total == 2 * layer + weights.input + weights.output


def test_tensors_that_llama_cpp_leaves_in_the_file_do_not_count(plain: Path) -> None:
    without = read(plain, unused=("blk.1.ffn_up.weight", "output_norm.weight"))
    assert read(plain).total - without.total == NUMBER * (WIDTH * INNER + WIDTH)


def test_a_split_model_has_the_weights_of_all_its_files(plain: Path) -> None:
    assert read(*split_gguf(plain, tensors_per_file=5)) == read(plain)


def test_heads_are_told_where_layers_differ(plain: Path, tmp_path: Path) -> None:
    assert read(plain).heads == {}
    assert read(write_hybrid(tmp_path / "hybrid.gguf")).heads == {0: 0, 1: HEADS}
