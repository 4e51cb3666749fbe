"""Tiny models, with random weights, one for each kind of memory: a KV cache, one with sliding windows, a recurrent
state, and a hybrid. Their replies make no sense, but depend on the whole prompt."""

from collections.abc import Callable, Mapping
from pathlib import Path

import gguf
import numpy as np

from support.byte_vocabulary import PIECES, add_byte_vocabulary

WINDOW = 64
"""Tokens that every other layer of the model with sliding windows attends to."""

CONTEXT, WIDTH, HEADS, INNER = 4096, 64, 2, 128
HEAD = WIDTH // HEADS
STATE, CONVOLUTION, TIME_STEP = 16, 4, 4
"""Sizes of Mamba's state and of its convolution, and the rank of its time step."""

SHARPNESS = 3
"""How much the attention prefers some tokens to others."""

Shapes = dict[str, tuple[int, ...]]


def write_plain(path: Path, add_vocabulary: Callable[[gguf.GGUFWriter], None] = add_byte_vocabulary) -> Path:
    """A Llama of two layers. Its vocabulary has as many tokens as that of bytes."""
    writer = _writer(path, "llama", layers=2, add_vocabulary=add_vocabulary)
    _add_attention(writer, HEADS)
    shapes = {**_attention(0), **_attention(1), **_feed_forward(0), **_feed_forward(1)}
    return _finish(writer, path, shapes, {"output_norm": WIDTH} | _norms(2, attn_norm=WIDTH, ffn_norm=WIDTH))


def write_recurrent(path: Path) -> Path:
    """A Mamba of two layers."""
    writer = _writer(path, "mamba", layers=2)
    wide = 2 * WIDTH
    writer.add_ssm_conv_kernel(CONVOLUTION)
    writer.add_ssm_inner_size(wide)
    writer.add_ssm_state_size(STATE)
    writer.add_ssm_time_step_rank(TIME_STEP)
    writer.add_head_count(0)
    shapes: Shapes = {}
    for layer in range(2):
        shapes |= {
            f"blk.{layer}.ssm_in.weight": (2 * wide, WIDTH),
            f"blk.{layer}.ssm_conv1d.weight": (wide, CONVOLUTION),
            f"blk.{layer}.ssm_conv1d.bias": (wide,),
            f"blk.{layer}.ssm_x.weight": (TIME_STEP + 2 * STATE, wide),
            f"blk.{layer}.ssm_dt.weight": (wide, TIME_STEP),
            f"blk.{layer}.ssm_out.weight": (WIDTH, wide),
        }
        writer.add_tensor(f"blk.{layer}.ssm_dt.bias", np.full(wide, -4, np.float32))  # so that it forgets slowly
        writer.add_tensor(f"blk.{layer}.ssm_a", -np.tile(np.geomspace(0.01, 1, STATE, dtype=np.float32), (wide, 1)))
        writer.add_tensor(f"blk.{layer}.ssm_d", np.ones(wide, np.float32))
    return _finish(writer, path, shapes, {"output_norm": WIDTH} | _norms(2, attn_norm=WIDTH))


def write_windowed(path: Path) -> Path:
    """A Gemma 3 of two layers: the first one attends to the last WINDOW tokens."""
    writer = _writer(path, "gemma3", layers=2)
    _add_attention(writer, HEADS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_sliding_window(WINDOW)
    writer.add_sliding_window_pattern([True, False])
    norms = _norms(
        2,
        attn_norm=WIDTH,
        attn_q_norm=HEAD,
        attn_k_norm=HEAD,
        post_attention_norm=WIDTH,
        ffn_norm=WIDTH,
        post_ffw_norm=WIDTH,
    )
    shapes = {**_attention(0), **_attention(1), **_feed_forward(0), **_feed_forward(1)}
    return _finish(writer, path, shapes, {"output_norm": WIDTH} | norms)


def write_hybrid(path: Path) -> Path:
    """An LFM2 of two layers: a short convolution, and attention."""
    writer = _writer(path, "lfm2", layers=2)
    _add_attention(writer, [0, HEADS])
    writer.add_shortconv_l_cache(CONVOLUTION)
    convolution = {
        "blk.0.shortconv.conv.weight": (WIDTH, CONVOLUTION),
        "blk.0.shortconv.in_proj.weight": (3 * WIDTH, WIDTH),
        "blk.0.shortconv.out_proj.weight": (WIDTH, WIDTH),
    }
    norms = {"token_embd_norm": WIDTH, "blk.1.attn_q_norm": HEAD, "blk.1.attn_k_norm": HEAD}
    norms |= _norms(2, attn_norm=WIDTH, ffn_norm=WIDTH)
    return _finish(writer, path, {**convolution, **_attention(1), **_feed_forward(0), **_feed_forward(1)}, norms)


def _writer(
    path: Path,
    architecture: str,
    *,
    layers: int,
    add_vocabulary: Callable[[gguf.GGUFWriter], None] = add_byte_vocabulary,
) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(INNER)
    writer.add_layer_norm_rms_eps(1e-5)
    add_vocabulary(writer)
    writer.add_add_bos_token(False)
    return writer


def _add_attention(writer: gguf.GGUFWriter, kv_heads: int | list[int]) -> None:
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(HEAD)


def _attention(layer: int) -> Shapes:
    names = ("attn_q", "attn_k", "attn_v", "attn_output")
    return {f"blk.{layer}.{name}.weight": (WIDTH, WIDTH) for name in names}


def _feed_forward(layer: int) -> Shapes:
    wide, tall = (INNER, WIDTH), (WIDTH, INNER)
    return {f"blk.{layer}.ffn_{name}.weight": tall if name == "down" else wide for name in ("gate", "up", "down")}


def _norms(layers: int, **sizes: int) -> dict[str, int]:
    return {f"blk.{layer}.{name}": size for layer in range(layers) for name, size in sizes.items()}


def _finish(writer: gguf.GGUFWriter, path: Path, shapes: Mapping[str, tuple[int, ...]], norms: dict[str, int]) -> Path:
    """Writes the file: matrices that keep about the size of what they are given, and norms of ones."""
    chance = np.random.default_rng(5)
    embeddings = {"token_embd.weight": (len(PIECES), WIDTH), "output.weight": (len(PIECES), WIDTH)}
    for name, shape in {**embeddings, **shapes}.items():
        scale = 0.1 if name == "token_embd.weight" else (6.0 if "attn_output" in name else 2.0) * shape[-1] ** -0.5
        values = chance.normal(0, scale, shape).astype(np.float32)
        if name == "output.weight":
            values[:3] = 0  # the reply never ends by itself
        writer.add_tensor(name, values)
    for name, size in norms.items():
        writer.add_tensor(f"{name}.weight", np.full(size, SHARPNESS if "attn_q_norm" in name else 1, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
