"""The tokenizer of cria: byte-level BPE that splits text as llama.cpp's pre-tokenizer ``qwen2`` does.

``python -m models.cria.tokens`` trains it and writes ``models/cria/tokenizer.json``.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from models.cria.corpus import documents

PRE = "qwen2"
PATTERN = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL = (END_OF_TEXT, START, END)
VISIBLE = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
VOCABULARY, SEED, SAMPLE = 2048, 7, 60000
FILE = Path(__file__).with_name("tokenizer.json")


def _empty() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _texts() -> list[str]:
    markup = [*CONTROL, *VISIBLE]
    texts: list[str] = []
    for document in documents(SEED, SAMPLE):
        text = document.text()
        for mark in markup:
            text = text.replace(mark, "\x00")
        texts += [piece for piece in text.split("\x00") if piece]
    return texts


def train() -> Tokenizer:
    tokenizer = _empty()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(CONTROL) - len(VISIBLE),
        min_frequency=3,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    control = [AddedToken(text, special=True, normalized=False) for text in CONTROL]
    visible = [AddedToken(text, special=False, normalized=False) for text in VISIBLE]
    tokenizer.add_special_tokens(control)  # pyright: ignore[reportUnknownMemberType]
    tokenizer.add_tokens(visible)  # pyright: ignore[reportUnknownMemberType]
    return tokenizer


def load() -> Tokenizer:
    return Tokenizer.from_file(str(FILE))


def main() -> None:
    tokenizer = train()
    tokenizer.save(str(FILE))
    print(f"{FILE.name}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
