"""What the dry run's process does around a measurement."""

import pytest

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.dry_run.sandbox import environment_for, first_line


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            b"/src/llama.cpp/ggml/src/ggml.c:12: GGML_ASSERT(a/b == 1) failed\nmore",
            "ggml.c:12: GGML_ASSERT(a/b == 1) failed",
        ),
        (b"ggml-cuda.cu:9: CUDA error", "ggml-cuda.cu:9: CUDA error"),
        (b"", ""),
    ],
)
def test_the_last_words_of_llama_cpp_name_no_folder(message: bytes, line: str) -> None:
    assert first_line(message) == line


def question(num_gpu: int) -> wire.Measure:
    return wire.Measure(model=pb.ModelSpec(options=pb.LoadOptions(num_gpu=num_gpu)))


def test_only_a_model_without_layers_on_gpus_sees_none() -> None:
    assert environment_for(question(0))["CUDA_VISIBLE_DEVICES"] == "-1"
    assert environment_for(question(-1)) == environment_for(question(7)) == {}
