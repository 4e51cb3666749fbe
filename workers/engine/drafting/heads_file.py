"""Whether a GGUF file has multi-token prediction heads that llama.cpp can run.

The answer is needed before the load. llama.cpp fails on missing heads, which the metadata may still name, and aborts
the process over heads that do not fit its graph.
"""

import ctypes
from contextlib import ExitStack
from typing import Any

from workers.engine.llama import C

EXPERTS = "ffn_gate_inp"
ARCHITECTURES: dict[str, tuple[str, ...]] = {
    "bailingmoe3": ("nextn.shared_head_norm",),
    "cohere2moe": (EXPERTS,),
    "deepseek2": (EXPERTS, "attn_q_a", "attn_k_b", "ffn_gate_shexp"),
    "deepseek32": (EXPERTS,),
    "deepseek4": (),
    "glm-dsa": (EXPERTS,),
    "glm4moe": (EXPERTS,),
    "hy_v3": (),
    "mimo2": ("attn_qkv", "ffn_gate"),
    "nemotron_h_moe": (EXPERTS, "nextn.shared_head_norm"),
    "qwen35": (),
    "qwen35moe": (EXPERTS,),
    "step35": (),
}
"""Architectures whose heads llama.cpp has a graph for, with the tensors that it needs beside HEAD. For any other it
would run the whole model instead. qwen3next is missing, because llama.cpp cannot take back its wrong drafts."""

HEAD = ("nextn.eh_proj", "nextn.enorm", "nextn.hnorm")
"""Tensors of every head. The first one joins the hidden state and the token, and marks a layer as a head."""

SEVERAL = frozenset({"hy_v3", "mimo2", "step35"})
"""Architectures that may have more than one head."""

UINT32, STRING = 4, 8
"""gguf.h's types of values."""


class _Params(ctypes.Structure):
    """gguf.h's gguf_init_params."""

    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p)]


def _bind(name: str, result: Any, *arguments: Any) -> Any:
    """Binds a function of gguf.h. libllama's handle also finds ggml's library, which has it."""
    return ctypes.CFUNCTYPE(result, *arguments)((name, C._lib))


_open = _bind("gguf_init_from_file", ctypes.c_void_p, ctypes.c_char_p, _Params)
_close = _bind("gguf_free", None, ctypes.c_void_p)
_find_key = _bind("gguf_find_key", ctypes.c_int64, ctypes.c_void_p, ctypes.c_char_p)
_type = _bind("gguf_get_kv_type", ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_string = _bind("gguf_get_val_str", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64)
_number = _bind("gguf_get_val_u32", ctypes.c_uint32, ctypes.c_void_p, ctypes.c_int64)
_tensor_count = _bind("gguf_get_n_tensors", ctypes.c_int64, ctypes.c_void_p)
_tensor_name = _bind("gguf_get_tensor_name", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64)


def has_heads(paths: list[str]) -> bool:
    """Whether the files of one model have heads that llama.cpp can run. Returns False for an unreadable file, too."""
    with ExitStack() as stack:
        files: list[Any] = []
        for path in paths:
            file = _open(path.encode(), _Params(no_alloc=True))
            if not file:
                return False
            stack.callback(_close, file)
            files.append(file)
        architecture = _architecture(files[0])
        names = {name for file in files for name in _tensor_names(file)}
        return _can_run(architecture, names, announced=_announced(files[0], architecture))


def _can_run(architecture: str, names: set[str], *, announced: int) -> bool:
    """`names` are those of the tensors; `announced` is the number of heads in the metadata."""
    marker = f"{HEAD[0]}.weight"
    heads = [name.removesuffix(marker) for name in names if name.endswith(marker)]
    if architecture not in ARCHITECTURES or len(heads) != announced:
        return False
    required = [f"{head}{tensor}.weight" for head in heads for tensor in (*HEAD, *ARCHITECTURES[architecture])]
    return names.issuperset(required) and (len(heads) == 1 or (bool(heads) and architecture in SEVERAL))


def _architecture(file: Any) -> str:
    key = _find_key(file, b"general.architecture")
    return _string(file, key).decode("utf-8", "replace") if key >= 0 and _type(file, key) == STRING else ""


def _announced(file: Any, architecture: str) -> int:
    key = _find_key(file, f"{architecture}.nextn_predict_layers".encode())
    return _number(file, key) if key >= 0 and _type(file, key) == UINT32 else 0


def _tensor_names(file: Any) -> list[str]:
    return [_tensor_name(file, number).decode("utf-8", "replace") for number in range(_tensor_count(file))]
