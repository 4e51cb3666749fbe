"""Tiny models that see and hear, with random weights: what matters is that every layer of them computes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import gguf
import numpy as np

from support.byte_vocabulary import add_byte_vocabulary

WIDTH, HEADS, LAYERS, INNER, CONTEXT = 64, 2, 2, 128, 4096
PATCH, IMAGE, MEL_BINS, STACK = 4, 32, 16, 10
VISION_WIDTH = 32
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
Vision = Literal["gemma3", "qwen2vl_merger"]


def write_text_model(path: Path, architecture: Literal["llama", "qwen2vl"] = "llama") -> Path:
    """A model that generates, one token for each byte. Qwen2-VL counts positions of images in rows and columns."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_chat_template(TEMPLATE)
    _write_vocabulary(writer)
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (259, WIDTH), "output.weight": (259, WIDTH)}
    shapes["output_norm.weight"] = (WIDTH,)
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in _text_layer().items()}
        if architecture == "qwen2vl":
            shapes |= {f"blk.{layer}.attn_{part}.bias": (WIDTH,) for part in "qkv"}
    if architecture == "qwen2vl":
        writer.add_rope_dimension_sections([8, 4, 4, 0])
    _write_tensors(writer, shapes)
    return path


def write_projector(path: Path, *, vision: Vision | None = "gemma3", audio: bool = False) -> Path:
    """A projector for the text models above. Gemma 3's gives 16 cells for each image, which look at each other; that
    of Qwen2-VL one for 8 x 8 pixels; that for audio (Ultravox) one for 10 frames of 20 ms, 150 at least."""
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", vision is not None)
    writer.add_bool("clip.has_audio_encoder", audio)
    writer.add_bool("clip.use_gelu", True)
    shapes: dict[str, tuple[int, ...]] = {}
    if vision is not None:
        shapes |= _write_vision(writer, vision)
    if audio:
        shapes |= _write_audio(writer)
    _write_tensors(writer, shapes)
    return path


def _write_vision(writer: gguf.GGUFWriter, kind: Vision) -> dict[str, tuple[int, ...]]:
    _write_encoder(writer, "vision", kind)
    writer.add_uint32("clip.vision.image_size", IMAGE)
    writer.add_uint32("clip.vision.patch_size", PATCH)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    patch, merged = (VISION_WIDTH, 3, PATCH, PATCH), 4 * VISION_WIDTH
    shapes = {**_encoder("v"), "v.patch_embd.weight": patch}
    if kind == "gemma3":
        writer.add_uint32("clip.vision.projector.scale_factor", 2)
        shapes |= {
            "v.patch_embd.bias": (VISION_WIDTH,),
            "v.position_embd.weight": ((IMAGE // PATCH) ** 2, VISION_WIDTH),
        }
        shapes |= {"mm.input_projection.weight": (VISION_WIDTH, WIDTH), "mm.soft_emb_norm.weight": (VISION_WIDTH,)}
    else:
        shapes |= {"v.patch_embd.weight.1": patch, "mm.0.weight": (merged, merged), "mm.0.bias": (merged,)}
        shapes |= {"mm.2.weight": (WIDTH, merged), "mm.2.bias": (WIDTH,)}
    return shapes


def _write_audio(writer: gguf.GGUFWriter) -> dict[str, tuple[int, ...]]:
    _write_encoder(writer, "audio", "ultravox")
    writer.add_uint32("clip.audio.num_mel_bins", MEL_BINS)
    writer.add_uint32("clip.audio.projector.stack_factor", STACK)
    shapes = {name: shape for name, shape in _encoder("a").items() if not name.endswith("attn_k.bias")}
    shapes |= {"a.conv1d.1.weight": (VISION_WIDTH, MEL_BINS, 3), "a.conv1d.1.bias": (VISION_WIDTH, 1)}
    shapes |= {"a.conv1d.2.weight": (VISION_WIDTH, VISION_WIDTH, 3), "a.conv1d.2.bias": (VISION_WIDTH, 1)}
    shapes |= {"a.position_embd.weight": (1500, VISION_WIDTH), "mm.a.norm_pre.weight": (STACK * VISION_WIDTH,)}
    shapes |= {"mm.a.mlp.1.weight": (2 * INNER, STACK * VISION_WIDTH), "mm.a.norm_mid.weight": (INNER,)}
    return {**shapes, "mm.a.mlp.2.weight": (WIDTH, INNER)}


def _write_encoder(writer: gguf.GGUFWriter, part: str, kind: str) -> None:
    writer.add_string(f"clip.{part}.projector_type", kind)
    writer.add_uint32(f"clip.{part}.embedding_length", VISION_WIDTH)
    writer.add_uint32(f"clip.{part}.attention.head_count", 2)
    writer.add_uint32(f"clip.{part}.feed_forward_length", 2 * VISION_WIDTH)
    writer.add_uint32(f"clip.{part}.block_count", 1)
    writer.add_uint32(f"clip.{part}.projection_dim", WIDTH)
    writer.add_float32(f"clip.{part}.attention.layer_norm_epsilon", 1e-6)


def _encoder(prefix: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name in ("attn_q", "attn_k", "attn_v", "attn_out", "ln1", "ln2", "ffn_up", "ffn_down"):
        outer = 2 * VISION_WIDTH if name == "ffn_up" else VISION_WIDTH
        inner = 2 * VISION_WIDTH if name == "ffn_down" else VISION_WIDTH
        shapes[f"{prefix}.blk.0.{name}.weight"] = (outer,) if name.startswith("ln") else (outer, inner)
        shapes[f"{prefix}.blk.0.{name}.bias"] = (outer,)
    return {**shapes, f"{prefix}.post_ln.weight": (VISION_WIDTH,), f"{prefix}.post_ln.bias": (VISION_WIDTH,)}


def _text_layer() -> dict[str, tuple[int, ...]]:
    names = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (WIDTH, WIDTH))
    matrices: dict[str, tuple[int, ...]] = {**names, "ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH)}
    matrices |= {"ffn_down": (WIDTH, INNER), "attn_norm": (WIDTH,), "ffn_norm": (WIDTH,)}
    return {f"{name}.weight": shape for name, shape in matrices.items()}


def _write_vocabulary(writer: gguf.GGUFWriter) -> None:
    add_byte_vocabulary(writer)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)


def _write_tensors(writer: gguf.GGUFWriter, shapes: Mapping[str, tuple[int, ...]]) -> None:
    chance = np.random.default_rng(7)
    for name, shape in shapes.items():
        mean = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0
        writer.add_tensor(name, chance.normal(mean, 0.2, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
