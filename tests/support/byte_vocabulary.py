"""The smallest vocabulary that can write every text: three special tokens, and a token for each byte."""

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
