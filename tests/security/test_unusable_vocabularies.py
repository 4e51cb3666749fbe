"""Vocabularies that the engine dies of: only the store's trial process ever meets them."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from support.bpe_vocabulary import write_bpe_vocabulary
from support.paths import CRIA

from remuda.settings import Settings
from store.errors import CorruptModelError
from store.trial.trials import Trials, version_of


@pytest.fixture
async def trials() -> AsyncGenerator[Trials]:
    trials = Trials(Settings())
    yield trials
    await trials.close()


async def test_an_ordinary_vocabulary_is_described(trials: Trials) -> None:
    known = await trials.vocabulary(version_of([str(CRIA)]))
    assert not known.fragile
    assert 8 < known.longest_token < 256


async def test_two_equal_tokens_kill_the_trial_alone(trials: Trials, tmp_path: Path) -> None:
    path = write_bpe_vocabulary(tmp_path / "equal.gguf", "llama-bpe", ["same", "same"])
    version = version_of([str(path)])
    with pytest.raises(CorruptModelError, match="the engine dies of it"):
        await trials.vocabulary(version)


async def test_a_file_is_tried_once(trials: Trials, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_bpe_vocabulary(path, "no such pre-tokenizer")
    version = version_of([str(path)])
    path.unlink()
    for _ in range(2):
        with pytest.raises(CorruptModelError, match="it cannot be read"):
            await trials.vocabulary(version)
        write_bpe_vocabulary(path, "llama-bpe")
    assert (await trials.vocabulary(version_of([str(path)]))).longest_token == 2


async def test_a_vocabulary_that_dies_of_a_text_is_fragile(trials: Trials, tmp_path: Path) -> None:
    path = write_bpe_vocabulary(tmp_path / "fragile.gguf", "whitespace")
    known = await trials.vocabulary(version_of([str(path)]))
    assert (known.fragile, known.longest_token) == (True, 2)
