"""A language model with a script: a tiny GGUF that says one text, whatever its prompt.

All prompt tokens share one embedding. Each script token has a direction of its own. The layers add nothing, and the
output matrix maps each script token to the next. So a test runs the real code for computing, sampling and
detokenising, and knows every word beforehand.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

BOS, EOS, FIRST_BYTE = 1, 2, 3
FIRST_WORD = FIRST_BYTE + 256
PROMPT = [BOS, FIRST_BYTE + ord("?")]
"""A prompt for any script that contains no "?"."""

HEAD, FEED_FORWARD, STRENGTH = 32, 32, 6.0


INFILL_MARKS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
"""The last tokens of a model written with `infill`."""


def write_scripted_model(
    path: Path, text: str, *, for_ever: bool = False, template: str = "", infill: bool = False
) -> Path:
    """Writes a model that says `text` and stops, or begins again `for_ever`.

    An ASCII word is one token; other text is split into bytes. Raises ValueError if a token occurs twice, because the
    model could not know its place in the script.
    """
    script = script_of(text)
    vocabulary = [*script.vocabulary, *(INFILL_MARKS if infill else ())]
    writer = gguf.GGUFWriter(path, "llama")
    _write_header(writer, script.width)
    if template:
        writer.add_chat_template(template)
    _write_vocabulary(writer, vocabulary)
    if infill:
        for part, mark in zip(("pre", "suf", "mid"), INFILL_MARKS, strict=True):
            writer.add_uint32(f"tokenizer.ggml.fim_{part}_token_id", vocabulary.index(mark))
    last = script.tokens[0] if for_ever else EOS
    _write_tensors(writer, len(vocabulary), script.width, [*script.tokens, last])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@dataclass(frozen=True, slots=True)
class Script:
    """A text as its model sees it: the vocabulary and the text's tokens."""

    vocabulary: list[str]
    tokens: list[int]

    @property
    def width(self) -> int:
        """Numbers of a hidden state, of which each token has one as its direction."""
        return -(-(len(self.tokens) + 1) // 64) * 64


def script_of(text: str) -> Script:
    """Raises ValueError if a token occurs twice."""
    words, tokens = _tokens(text)
    if len(set(tokens)) < len(tokens):
        raise ValueError("a token comes twice in the script")
    return Script(["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words], tokens)


def _tokens(text: str) -> tuple[list[str], list[int]]:
    words: list[str] = []
    script: list[int] = []
    for part in re.findall(r" ?[!-~]+|[^!-~]", text):
        if part.isascii() and part.strip():
            script.append(FIRST_WORD + (words.index(part) if part in words else len(words)))
            words.append(part)
        else:
            script += [FIRST_BYTE + byte for byte in part.encode()]
    return [word.replace(" ", "\u2581") for word in words], script


def _write_header(writer: gguf.GGUFWriter, width: int) -> None:
    writer.add_name("scripted")
    writer.add_context_length(32768)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(width // HEAD)
    writer.add_head_count_kv(width // HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD)


def _write_vocabulary(writer: gguf.GGUFWriter, vocabulary: list[str]) -> None:
    kinds = [gguf.TokenType.NORMAL] * len(vocabulary)
    kinds[0], kinds[BOS], kinds[EOS] = gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL
    kinds[FIRST_BYTE:FIRST_WORD] = [gguf.TokenType.BYTE] * 256
    kinds = [
        gguf.TokenType.CONTROL if word in INFILL_MARKS else kind for word, kind in zip(vocabulary, kinds, strict=True)
    ]
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(vocabulary)
    writer.add_token_scores([0.0] * FIRST_WORD + [-1000.0] * (len(vocabulary) - FIRST_WORD))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)


def _write_tensors(writer: gguf.GGUFWriter, vocabulary: int, width: int, script: list[int]) -> None:
    embedding, output = np.zeros((vocabulary, width), np.float32), np.zeros((vocabulary, width), np.float32)
    embedding[:, 0] = 1
    for place, token in enumerate(script[:-1]):
        embedding[token] = np.eye(width, dtype=np.float32)[place + 1]
    for place, token in enumerate(script):
        output[token, place] = STRENGTH
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", output)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    square, wide, tall = (width, width), (FEED_FORWARD, width), (width, FEED_FORWARD)
    shapes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), square)
    for name, shape in {**shapes, "ffn_gate": wide, "ffn_up": wide, "ffn_down": tall}.items():
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros(shape, np.float32))
