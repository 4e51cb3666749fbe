"""Whether a GGUF file has multi-token prediction heads that llama.cpp can run.

The answer is needed before the load. llama.cpp fails on missing heads, which the metadata may still name, and aborts
the process over heads that do not fit its graph.
"""

from contextlib import ExitStack

from workers.engine.gguf_file import GgufFile, open_gguf

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


def has_heads(paths: list[str]) -> bool:
    """Whether the files of one model have heads that llama.cpp can run. Returns False for an unreadable file, too."""
    with ExitStack() as stack:
        files: list[GgufFile] = []
        for path in paths:
            file = stack.enter_context(open_gguf(path))
            if file is None:
                return False
            files.append(file)
        names = {name for file in files for name in file.tensors()}
        return _can_run(files[0].architecture, names, announced=files[0].own_number("nextn_predict_layers"))


def _can_run(architecture: str, names: set[str], *, announced: int) -> bool:
    """`names` are those of the tensors; `announced` is the number of heads in the metadata."""
    marker = f"{HEAD[0]}.weight"
    heads = [name.removesuffix(marker) for name in names if name.endswith(marker)]
    if architecture not in ARCHITECTURES or len(heads) != announced:
        return False
    required = [f"{head}{tensor}.weight" for head in heads for tensor in (*HEAD, *ARCHITECTURES[architecture])]
    return names.issuperset(required) and (len(heads) == 1 or (bool(heads) and architecture in SEVERAL))
