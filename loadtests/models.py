"""GGUF models of a chosen shape with random weights and a real vocabulary.

An engine's speed does not depend on the values of the weights, so such a model times serving honestly. Its text is
noise.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from numpy.typing import NDArray

from loadtests.cache import cache_folder

Q8_0 = gguf.GGMLQuantizationType.Q8_0
DEVIATION = 0.02
CONTROL = int(gguf.TokenType.CONTROL)
TOKENS = "tokenizer.ggml.tokens"
TOKEN_TYPES = "tokenizer.ggml.token_type"
TEMPLATE = "tokenizer.chat_template"


@dataclass(frozen=True, slots=True)
class Shape:
    """A llama model: Q8_0 matrices, F32 norms."""

    name: str
    vocabulary: str
    """The name in llama.cpp's ggml-vocab-*.gguf."""
    layers: int
    embedding: int
    feed_forward: int
    heads: int
    kv_heads: int
    context: int = 16384
    seed: int = 0
    loop: int = 0
    """If not 0, greedy text repeats rounds of so many tokens of the vocabulary, from any beginning."""

    @property
    def kv_width(self) -> int:
        return self.embedding // self.heads * self.kv_heads


SMALL = Shape("small", "llama-spm", 24, 1024, 2816, 16, 8)
TINY = Shape("tiny", "llama-spm", 2, 64, 192, 4, 2)
LOOP = 48

SHAPES = {
    shape.name: shape
    for shape in (
        SMALL,
        Shape("medium", "llama-spm", 8, 512, 2304, 8, 8),
        Shape("large-vocab", "llama-bpe", 4, 256, 768, 8, 4),
        TINY,
        replace(SMALL, name="small-looping", loop=LOOP),
        replace(TINY, name="tiny-looping", loop=LOOP),
    )
}
"""`small` has about 350 MB, `medium` 75. `large-vocab` has 128k tokens and few weights besides, so that sampling
dominates. `tiny` is for trials of the benchmark. The looping ones compute as much as the others, and repeat
themselves."""


def model_file(shape: Shape, vocabularies: Path) -> Path:
    """Returns the model's file in the cache, and makes it if it is missing. `vocabularies` is llama.cpp's `models`
    folder."""
    path = cache_folder() / f"{shape.name}-{shape.seed}.gguf"
    if not path.exists():
        print(f"Making the random model {path} ...")
        partial = path.with_suffix(f".{os.getpid()}.partial")
        write_model(partial, shape, vocabularies / f"ggml-vocab-{shape.vocabulary}.gguf")
        partial.replace(path)
    return path


def write_model(path: Path, shape: Shape, vocabulary: Path) -> None:
    """Writes the model with the tokenizer of the GGUF file `vocabulary`."""
    writer = GGUFWriter(path, "llama")
    reader = GGUFReader(vocabulary)
    _copy_tokenizer(reader, writer)
    types = np.asarray(reader.fields[TOKEN_TYPES].contents())
    _add_metadata(writer, shape, len(types))
    _Tensors(writer, shape).add_all(silent=types == CONTROL)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copy_tokenizer(reader: GGUFReader, writer: GGUFWriter) -> None:
    for field in reader.fields.values():
        if not field.name.startswith("tokenizer.") or field.name == TEMPLATE:
            continue
        value: Any = field.contents()
        if field.types[0] == GGUFValueType.ARRAY:
            writer.add_array(field.name, value)
        else:
            writer.add_key_value(field.name, value, field.types[0])


def _add_metadata(writer: GGUFWriter, shape: Shape, tokens: int) -> None:
    writer.add_name(f"random-{shape.name}")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.embedding)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(shape.embedding // shape.heads)
    writer.add_vocab_size(tokens)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


class _Tensors:
    """Adds tensors under llama.cpp's names, with weights from one seeded generator."""

    def __init__(self, writer: GGUFWriter, shape: Shape) -> None:
        self._writer = writer
        self._shape = shape
        self._random = np.random.default_rng(shape.seed)

    def add_all(self, silent: NDArray[np.bool_]) -> None:
        """Adds all tensors. `silent` tokens get a logit of exactly 0, which is never among the top 40: a stream that
        drew the end token would finish early and spoil the count."""
        shape = self._shape
        tokens = self._weights(len(silent), shape.embedding)
        self._quantised("token_embd.weight", tokens)
        self._norm("output_norm.weight")
        output = tokens[_before(len(silent), shape.loop)] if shape.loop else self._weights(*tokens.shape)
        output[silent] = 0
        self._quantised("output.weight", output)
        for index in range(shape.layers):
            self._block(f"blk.{index}.")

    def _block(self, prefix: str) -> None:
        shape = self._shape
        self._norm(f"{prefix}attn_norm.weight")
        self._norm(f"{prefix}ffn_norm.weight")
        self._matrix(f"{prefix}attn_q.weight", shape.embedding, shape.embedding)
        self._matrix(f"{prefix}attn_k.weight", shape.kv_width, shape.embedding)
        self._matrix(f"{prefix}attn_v.weight", shape.kv_width, shape.embedding)
        self._last_matrix(f"{prefix}attn_output.weight", shape.embedding, shape.embedding)
        self._matrix(f"{prefix}ffn_gate.weight", shape.feed_forward, shape.embedding)
        self._matrix(f"{prefix}ffn_up.weight", shape.feed_forward, shape.embedding)
        self._last_matrix(f"{prefix}ffn_down.weight", shape.embedding, shape.feed_forward)

    def _matrix(self, name: str, rows: int, columns: int) -> None:
        self._quantised(name, self._weights(rows, columns))

    def _last_matrix(self, name: str, rows: int, columns: int) -> None:
        """Adds the matrix of a block's output. It is 0 in a looping model, where the token alone gives the next one."""
        self._quantised(name, self._weights(rows, columns) * np.float32(not self._shape.loop))

    def _weights(self, rows: int, columns: int) -> NDArray[np.float32]:
        return self._random.standard_normal((rows, columns), dtype=np.float32) * np.float32(DEVIATION)

    def _quantised(self, name: str, weights: NDArray[np.float32]) -> None:
        self._writer.add_tensor(name, gguf.quants.quantize(weights, Q8_0), raw_dtype=Q8_0)

    def _norm(self, name: str) -> None:
        self._writer.add_tensor(name, np.ones(self._shape.embedding, dtype=np.float32))


def _before(tokens: int, loop: int) -> NDArray[np.int64]:
    """Returns the token before each one in its round of `loop`."""
    ids = np.arange(tokens)
    first = ids - ids % loop
    return np.where(ids > first, ids - 1, np.minimum(first + loop, tokens) - 1)
