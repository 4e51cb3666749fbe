"""Prompts that llama.cpp's pre-tokenizers bear only on a large stack. They end a gateway that tokenises them itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.bpe_vocabulary import write_bpe_vocabulary
from support.gateway_world import BUNDLE, FINISHED, STOP, world_in

from gateway.errors import ErrorKind, GatewayError
from gateway.prompt.truncate import cut_middle
from gateway.prompt.vocabulary.vocabulary import Vocabulary, Workshop
from remuda.settings import Settings
from remuda.v1 import store_pb2

LONG = 100_000
WORDS = [
    *((name, "a") for name in ("deepseek-llm", "deepseek-v3", "tekken", "gpt-4o")),
    *(("default", character) for character in "1!"),
    ("falcon", "!"),
    ("tekken", " "),
]

RAW = {"model": "cria", "raw": True, "stream": False}


def bundle_of(path: Path) -> store_pb2.Bundle:
    bundle = store_pb2.Bundle()
    bundle.CopyFrom(BUNDLE)
    bundle.model_path, bundle.model_digest = str(path), "c" * 64
    return bundle


@asynccontextmanager
async def vocabulary_of(
    path: Path, *, fragile: bool = False, longest: int = 1, **environment: str
) -> AsyncGenerator[Vocabulary]:
    workshop = Workshop.of(Settings(**environment))  # type: ignore[arg-type]
    known = store_pb2.Vocabulary(longest_token=longest, fragile=fragile)
    yield Vocabulary(bundle_of(path), known, workshop)
    await workshop.processes.close()


@pytest.mark.parametrize(("pre_tokenizer", "character"), WORDS)
async def test_a_word_without_end_is_tokenised(tmp_path: Path, pre_tokenizer: str, character: str) -> None:
    path = write_bpe_vocabulary(tmp_path / "vocabulary.gguf", pre_tokenizer)
    async with vocabulary_of(path) as vocabulary:
        assert len(await vocabulary.tokenize(character * LONG)) == LONG


async def test_a_word_for_which_no_stack_is_large_enough_costs_its_request_alone(
    private_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMUDA_TOKENIZER_STACK", str(16 << 20))
    bundle = bundle_of(write_bpe_vocabulary(tmp_path / "vocabulary.gguf", "tekken"))
    async with world_in(private_folder, bundle) as world:
        reply = await world.client.post("/api/generate", json=RAW | {"prompt": "a" * LONG})
        assert (reply.status_code, "cannot be tokenised" in reply.json()["error"]) == (400, True)
        for prompt in ("a", "ab " * LONG):
            call = asyncio.create_task(world.client.post("/api/generate", json=RAW | {"prompt": prompt}))
            world.push(await world.running(), "", finished=STOP)
            assert (await call).status_code == 200
            world.scheduler.events.put_nowait(FINISHED)


async def test_a_text_that_kills_the_tokenizer_costs_nobody_elses_request(tmp_path: Path) -> None:
    path = write_bpe_vocabulary(tmp_path / "vocabulary.gguf", "whitespace")
    async with vocabulary_of(path, fragile=True) as vocabulary:
        with pytest.raises(GatewayError) as caught:
            await vocabulary.tokenize("a  b")
        assert caught.value.kind is ErrorKind.INVALID
        assert await vocabulary.tokenize("ab") == [ord("a"), ord("b")]


@pytest.mark.parametrize("num_keep", [-1, 0, 100])
async def test_what_no_context_can_hold_is_not_tokenised_and_not_missed(tmp_path: Path, num_keep: int) -> None:
    path = write_bpe_vocabulary(tmp_path / "vocabulary.gguf", "llama-bpe")
    text, num_ctx = "".join(f"{number} " for number in range(LONG)), 4096
    async with vocabulary_of(path, REMUDA_TOKENIZE_AT_LEAST="0") as vocabulary:
        whole, ends = await vocabulary.tokenize(text), await vocabulary.tokenize(text, num_ctx)
    assert len(ends) == 2 * num_ctx
    cut = [cut_middle(tokens, num_ctx, num_keep, has_bos=False) for tokens in (whole, ends)]
    assert cut[0] == cut[1]


async def test_a_crowd_of_long_texts_has_a_bound(tmp_path: Path) -> None:
    path = write_bpe_vocabulary(tmp_path / "vocabulary.gguf", "llama-bpe")
    async with vocabulary_of(path, REMUDA_TOKENIZER_PROCESSES="1", REMUDA_TOKENIZER_QUEUE="0") as vocabulary:
        answers = await asyncio.gather(*(vocabulary.tokenize("a" * LONG) for _ in range(3)), return_exceptions=True)
    first, *others = answers
    assert isinstance(first, list)
    assert len(first) == LONG
    assert [isinstance(other, GatewayError) and other.kind for other in others] == [ErrorKind.BUSY] * 2
