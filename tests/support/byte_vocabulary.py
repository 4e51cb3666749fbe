"""The smallest vocabularies that can write every text: three special tokens, and a token for each byte."""

import gguf

PIECES = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]


def add_byte_vocabulary(writer: gguf.GGUFWriter) -> None:
    """Adds the vocabulary to a model's metadata."""
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(PIECES)
    writer.add_token_scores([0.0] * len(PIECES))
    writer.add_token_types(kinds + [gguf.TokenType.BYTE] * 256)
    writer.add_vocab_size(len(PIECES))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def add_byte_pair_vocabulary(writer: gguf.GGUFWriter, split: str) -> None:
    """Adds one for byte pairs of the same size, with one pair, `aa`. `split` is llama.cpp's name of the rules by which
    words are split off before (`tokenizer.ggml.pre`)."""
    kinds = [gguf.TokenType.NORMAL, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(["aa", "<s>", "</s>", *_byte_names()])
    writer.add_token_types(kinds + [gguf.TokenType.NORMAL] * 256)
    writer.add_token_merges(["a a"])
    writer.add_vocab_size(len(PIECES))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def _byte_names() -> list[str]:
    """The printable characters that GPT-2 writes for bytes."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]
