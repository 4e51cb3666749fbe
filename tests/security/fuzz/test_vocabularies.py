"""GGUF files as strangers may make them: the reader survives each, and so does the trial with the engine."""

import struct
from collections.abc import Generator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bpe_vocabulary import write_bpe_vocabulary
from support.fuzzing import IS_LONG, Loop, fuzzed

from gateway.errors import GatewayError
from gateway.prompt.vocabulary.vocabulary import Vocabulary, Workshop
from remuda.settings import Settings
from remuda.v1 import store_pb2
from store.errors import CorruptModelError
from store.gguf.header import read_gguf
from store.gguf.reader import InvalidGgufError
from store.trial.trials import Trials, version_of

FRAGILE = "whitespace"
"""The only one that llama.cpp does not survive on any stack."""
PRE_TOKENIZERS = (
    *("default", "llama-bpe", "deepseek-llm", "deepseek-coder", "deepseek-v3", "falcon", "mpt", "starcoder", "gpt-2"),
    *("jina-v2-de", "refact", "command-r", "qwen2", "qwen35", "stablelm2", "olmo", "dbrx", "smaug-bpe", "poro-chat"),
    *("chatglm-bpe", "viking", "jais", "jais-2", "tekken", "smollm", "codeshell", "bloom", "gpt3-finnish", "exaone"),
    *("exaone4", "exaone-moe", "chameleon", "minerva-7b", "megrez", "gpt-4o", "superbpe", "trillion", "bailingmoe"),
    *("llada-moe", "seed-coder", "hunyuan", "hunyuan-dense", "kimi-k2", "grok-2", "afmoe", "minimax-m2", "solar-open"),
    *("tiny_aya", "joyai-llm", "gemma4", "sarvam-moe", FRAGILE, "youtu"),
)
"""The names that llama.cpp knows, without those that stand for another one of them."""
UNITS = ("a", "1", "!", " ", "\n", "\u00e9", "\u4e2d", "\u0301", "\U0001f600", "a1", " a", "'s", "\0")
LONG = 100_000
EDGES = (0, 1, 2, 255, 256, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


@pytest.fixture(scope="module")
def trials(loop: Loop) -> Generator[Trials]:
    async def make() -> Trials:
        return Trials(Settings())

    trials = loop.run(make())
    yield trials
    loop.run(trials.close())


@pytest.fixture(scope="module")
def good_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bpe_vocabulary(tmp_path_factory.mktemp("vocabulary") / "good.gguf", "llama-bpe", ["aa", "bb"])


@st.composite
def mutations(draw: st.DrawFn) -> list[tuple[float, bytes]]:
    """Places (as parts of the file's length) and what stands there instead."""
    piece = st.one_of(
        st.binary(min_size=1, max_size=8),
        st.sampled_from(EDGES).map(lambda number: struct.pack("<Q", number)),
        st.sampled_from(EDGES[:8]).map(lambda number: struct.pack("<I", number)),
    )
    return draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), piece), min_size=1, max_size=4))


@fuzzed
@given(changes=mutations(), kept=st.floats(0.5, 1.5))
def test_a_mutated_header_costs_one_answer(
    loop: Loop, trials: Trials, good_file: Path, changes: list[tuple[float, bytes]], kept: float
) -> None:
    content = bytearray(good_file.read_bytes())
    for place, piece in changes:
        start = int(place * len(content))
        content[start : start + len(piece)] = piece
    path = good_file.with_name("mutated.gguf")
    path.write_bytes(content[: int(kept * len(content))])
    try:
        read_gguf(path)
    except InvalidGgufError:
        return
    try:
        loop.run(trials.vocabulary(version_of([str(path)])))
    except CorruptModelError:
        return


@pytest.mark.parametrize("pre_tokenizer", PRE_TOKENIZERS if IS_LONG else PRE_TOKENIZERS[:: len(PRE_TOKENIZERS) // 6])
def test_long_runs_are_tokenised_or_refused(loop: Loop, tmp_path: Path, pre_tokenizer: str) -> None:
    path = write_bpe_vocabulary(tmp_path / "vocabulary.gguf", pre_tokenizer)
    bundle = store_pb2.Bundle(model_path=str(path))

    async def tokenise() -> None:
        workshop = Workshop.of(Settings())
        vocabulary = Vocabulary(bundle, store_pb2.Vocabulary(longest_token=2), workshop)
        for unit in UNITS:
            with suppress(GatewayError) if pre_tokenizer == FRAGILE else nullcontext():
                assert await vocabulary.tokenize(unit * LONG)
        await workshop.processes.close()

    loop.run(tokenise())
