"""Which results of trials are remembered. No process is started: the test plays the sandbox."""

from collections.abc import AsyncGenerator, Callable
from itertools import repeat
from pathlib import Path

import orjson
import pytest

from remuda.file_versions import FileVersion
from remuda.sandbox.pool import OverloadedError, ProcessDiedError, SandboxError, SandboxPool, TookTooLongError
from remuda.settings import Settings
from store.errors import CorruptModelError, UnavailableError
from store.trial import trials as module
from store.trial.trials import Trials

VERSION = (FileVersion(Path("/models/blobs/sha256-1"), inode=1, size=1, mtime_ns=1),)
KNOWN = orjson.dumps({"longest_token": 8})
Answers = Callable[..., None]


class OtherError(SandboxError):
    """Any other reason for no answer."""


@pytest.fixture
def asked() -> list[int]:
    """How long the texts of each question are."""
    return []


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, asked: list[int]) -> Answers:
    """Sets the answers of the sandbox, in turn."""

    def set_answers(*answers: bytes | SandboxError) -> None:
        turns = iter(answers)

        async def ask(pool: SandboxPool, question: bytes) -> bytes:
            asked.append(orjson.loads(question)["length"])
            answer = next(turns)
            if isinstance(answer, SandboxError):
                raise answer
            return answer

        monkeypatch.setattr(SandboxPool, "ask", ask)

    return set_answers


@pytest.fixture
async def trials() -> AsyncGenerator[Trials]:
    trials = Trials(Settings())
    yield trials
    await trials.close()


@pytest.mark.parametrize("error", [OverloadedError(), OtherError()])
async def test_what_cannot_be_tried_now_is_tried_again(trials: Trials, answers: Answers, error: SandboxError) -> None:
    answers(error, TookTooLongError(), error, KNOWN)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="cannot try the model's vocabulary now"):
            await trials.vocabulary(VERSION)
    assert not (await trials.vocabulary(VERSION)).fragile


async def test_a_refusal_by_the_clock_expires(
    trials: Trials, answers: Answers, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(*repeat(TookTooLongError(), 4), KNOWN)
    for _ in range(2):
        with pytest.raises(CorruptModelError, match="too long"):
            await trials.vocabulary(VERSION)
    assert len(asked) == 2  # remembered for a while
    trials = Trials(Settings())
    monkeypatch.setattr(module, "DOUBT_S", 0.0)
    with pytest.raises(CorruptModelError, match="too long"):
        await trials.vocabulary(VERSION)
    assert not (await trials.vocabulary(VERSION)).fragile


async def test_fragility_by_the_clock_expires(
    trials: Trials, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DOUBT_S", 0.0)
    answers(TookTooLongError(), KNOWN, KNOWN)
    assert (await trials.vocabulary(VERSION)).fragile
    assert not (await trials.vocabulary(VERSION)).fragile


async def test_fragility_by_a_death_is_remembered(trials: Trials, answers: Answers, asked: list[int]) -> None:
    answers(ProcessDiedError(), KNOWN)
    for _ in range(2):
        assert (await trials.vocabulary(VERSION)).fragile
    assert asked == [Settings().tokenize_inline, 0]
