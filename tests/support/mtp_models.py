"""Tiny models with a multi-token prediction head, one with attention alone and one with a recurrent layer.

Token n is embedded as a vector turned n times by one rotation, and the output matrix leads from each token to the next,
so that the replies count, most of the time: layers with random weights make them depend on the whole prompt. The head
turns the state that it is given once more. So it guesses well, but not always, and only from the right tokens' states.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from support.byte_vocabulary import PIECES, add_byte_vocabulary

Tensor = NDArray[np.float32]

LAYERS = 2
"""Of the model. One more is the head."""

WIDTH, HEADS, INNER = 64, 2, 128
HEAD = WIDTH // HEADS
STATE, CONVOLUTION, GROUPS = 32, 4, 2
"""Sizes of the recurrent layer: of its state and its convolution, and its number of heads."""

WINDOW = 64
NOISE, HEAD_NOISE = 1.2, 0.4
"""How much the layers, and the head's, disturb the counting, in proportion to what keeps the size of their input."""


def write_attention_with_head(path: Path, *, with_trunk: bool = True, with_head: bool = True) -> Path:
    """A MiMo 2 of two layers and a head. Either can be left out, though the metadata still speaks of both."""
    writer = _writer(path, "mimo2")
    writer.add_expert_feed_forward_length(INNER)
    writer.add_sliding_window(WINDOW)
    writer.add_sliding_window_pattern([True, False, False])
    weights = _Weights(writer, [*range(LAYERS)] * with_trunk + [LAYERS] * with_head)
    for layer in range(LAYERS + 1):
        weights.add(f"blk.{layer}.attn_qkv", 3 * WIDTH, WIDTH)
        weights.add(f"blk.{layer}.attn_output", WIDTH, WIDTH, _noise(layer))
        weights.norm(f"blk.{layer}.attn_norm", f"blk.{layer}.ffn_norm")
        weights.feed_forward(layer)
    weights.finish()
    return path


def write_recurrent_with_head(path: Path) -> Path:
    """A Qwen 3.5 of a linear attention layer, one with full attention, and a head."""
    writer = _writer(path, "qwen35")
    writer.add_full_attention_interval(2)
    writer.add_rope_dimension_sections([HEAD // 4, HEAD // 8, HEAD // 8, 0])
    writer.add_ssm_conv_kernel(CONVOLUTION)
    writer.add_ssm_inner_size(GROUPS * STATE)
    writer.add_ssm_state_size(STATE)
    writer.add_ssm_time_step_rank(GROUPS)
    writer.add_ssm_group_count(GROUPS)
    weights = _Weights(writer, range(LAYERS + 1))
    _add_linear_attention(weights)
    for layer in range(1, LAYERS + 1):
        weights.add(f"blk.{layer}.attn_q", 2 * WIDTH, WIDTH)
        weights.add(f"blk.{layer}.attn_k", WIDTH, WIDTH)
        weights.add(f"blk.{layer}.attn_v", WIDTH, WIDTH)
        weights.add(f"blk.{layer}.attn_output", WIDTH, WIDTH, _noise(layer))
        weights.norm(f"blk.{layer}.attn_q_norm", f"blk.{layer}.attn_k_norm", size=HEAD)
    for layer in range(LAYERS + 1):
        weights.norm(f"blk.{layer}.attn_norm", f"blk.{layer}.post_attention_norm")
        weights.feed_forward(layer)
    weights.finish()
    return path


def _add_linear_attention(weights: "_Weights") -> None:
    inner = GROUPS * STATE
    weights.add("blk.0.attn_qkv", 3 * inner, WIDTH)
    weights.add("blk.0.attn_gate", inner, WIDTH)
    weights.add("blk.0.ssm_conv1d", 3 * inner, CONVOLUTION)
    weights.add("blk.0.ssm_alpha", GROUPS, WIDTH)
    weights.add("blk.0.ssm_beta", GROUPS, WIDTH)
    weights.add("blk.0.ssm_out", WIDTH, inner, NOISE)
    weights.norm("blk.0.ssm_norm", size=STATE)
    weights.put("blk.0.ssm_a", np.full(GROUPS, -0.1))  # it forgets slowly
    weights.put("blk.0.ssm_dt.bias", np.zeros(GROUPS))


class _Weights:
    """Adds tensors to a model, always the same random ones, and of the layers only those of `layers`."""

    def __init__(self, writer: gguf.GGUFWriter, layers: Iterable[int]) -> None:
        self.writer = writer
        self._layers = [f"blk.{layer}." for layer in layers]
        self._chance = np.random.default_rng(7)

    def add(self, name: str, rows: int, columns: int, scale: float = 1.0) -> None:
        """A matrix that makes the size of a vector `scale` times what it was."""
        values = self._chance.normal(0, scale * columns**-0.5, (rows, columns))
        self.put(f"{name}.weight", values)

    def norm(self, *names: str, size: int = WIDTH) -> None:
        for name in names:
            self.put(f"{name}.weight", np.ones(size))

    def put(self, name: str, values: NDArray[Any]) -> None:
        if not name.startswith("blk.") or name.startswith(tuple(self._layers)):
            self.writer.add_tensor(name, values.astype(np.float32))

    def feed_forward(self, layer: int) -> None:
        self.add(f"blk.{layer}.ffn_gate", INNER, WIDTH)
        self.add(f"blk.{layer}.ffn_up", INNER, WIDTH)
        self.add(f"blk.{layer}.ffn_down", WIDTH, INNER, _noise(layer))

    def finish(self) -> None:
        """Adds what makes the model count and the head guess, and writes the file."""
        rotation = np.linalg.qr(self._chance.normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)
        embedding, output = _counting(rotation)
        self.put("token_embd.weight", embedding)
        self.put("output.weight", output)
        projection = np.concatenate([np.zeros_like(rotation), rotation], axis=1)  # of the token, and of the state
        self.put(f"blk.{LAYERS}.nextn.eh_proj.weight", projection)
        self.norm("output_norm", f"blk.{LAYERS}.nextn.enorm", f"blk.{LAYERS}.nextn.hnorm")
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def _noise(layer: int) -> float:
    return HEAD_NOISE if layer == LAYERS else NOISE


def _counting(rotation: Tensor) -> tuple[Tensor, Tensor]:
    """The embeddings, and the output matrix. No token leads to one of the first three: a reply does not end itself."""
    embedding = np.ones((len(PIECES), WIDTH), np.float32)
    for token in range(1, len(PIECES)):
        embedding[token] = rotation @ embedding[token - 1]
    output = np.zeros_like(embedding)
    output[3:] = embedding[2:-1] / 4
    return embedding, output


def _writer(path: Path, architecture: str) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(4096)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS + 1)
    writer.add_nextn_predict_layers(1)
    writer.add_feed_forward_length(INNER)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_rope_dimension_count(HEAD)
    _add_vocabulary(writer)
    return writer


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    add_byte_vocabulary(writer)
    writer.add_add_bos_token(False)
