"""Which answers of dry runs are shared and remembered. No process is started: the test plays the sandbox."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from remuda.sandbox.pool import OverloadedError, ProcessDiedError, SandboxError, SandboxPool, TookTooLongError
from remuda.settings import Settings
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2 as wire
from workers.host.measuring import Measuring

Play = Callable[[wire.Measure], wire.Measured | SandboxError]


def sizes(measure: wire.Measure) -> wire.Measured:
    return wire.Measured(id=measure.id, footprints=[wire.Footprint(slots=count) for count in measure.slots])


class Sandboxes:
    """Plays the processes: keeps the questions, and answers when it is open."""

    def __init__(self) -> None:
        self.asked: list[wire.Measure] = []
        self.play: Play = sizes
        self.reached = asyncio.Event()  # by a question
        self.open = asyncio.Event()
        self.open.set()

    async def ask(self, question: bytes) -> bytes:
        measure = wire.Measure.FromString(question)
        self.asked.append(measure)
        self.reached.set()
        await self.open.wait()
        answer = self.play(measure)
        if isinstance(answer, SandboxError):
            raise answer
        return answer.SerializeToString()


@pytest.fixture
def sandboxes(monkeypatch: pytest.MonkeyPatch) -> Sandboxes:
    sandboxes = Sandboxes()
    monkeypatch.setattr(SandboxPool, "ask", lambda _, question: sandboxes.ask(question))
    return sandboxes


@pytest.fixture
async def measuring(sandboxes: Sandboxes) -> AsyncGenerator[Measuring]:
    measuring = Measuring(Settings(REMUDA_MEASUREMENTS_KEPT="2"), {}, sees_gpu=False)
    yield measuring
    await measuring.close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return path


def question(model: Path, *slots: int, name: str = "m", number: int = 1, **options: object) -> wire.Measure:
    chosen = pb.LoadOptions(num_ctx=64, **options)  # pyright: ignore[reportArgumentType]
    return wire.Measure(id=number, model=pb.ModelSpec(name=name, model_path=str(model), options=chosen), slots=slots)


async def test_equal_questions_at_the_same_time_share_one_dry_run(
    measuring: Measuring, sandboxes: Sandboxes, model: Path
) -> None:
    sandboxes.open.clear()
    answers = [asyncio.create_task(measuring.answer(question(model, 1, 4, number=number))) for number in range(3)]
    await sandboxes.reached.wait()
    answers[0].cancel()  # who leaves ends no run that others wait for
    sandboxes.open.set()
    assert [(await answer).id for answer in answers[1:]] == [1, 2]
    assert len(sandboxes.asked) == 1


async def test_an_answer_is_remembered_for_all_who_would_get_the_same(
    measuring: Measuring, sandboxes: Sandboxes, model: Path
) -> None:
    await measuring.answer(question(model, 1))
    again = await measuring.answer(question(model, 1, name="alias", number=7, num_thread=3, use_mmap=False))
    assert (again.id, [each.slots for each in again.footprints], len(sandboxes.asked)) == (7, [1], 1)


async def test_other_slots_options_or_files_are_measured_anew(
    measuring: Measuring, sandboxes: Sandboxes, model: Path
) -> None:
    await measuring.answer(question(model, 1))
    await measuring.answer(question(model, 2))
    await measuring.answer(question(model, 2, num_batch=8))
    await asyncio.to_thread(model.write_bytes, b"GGUF, but longer")
    await measuring.answer(question(model, 2, num_batch=8))
    assert len(sandboxes.asked) == 4


async def test_the_answer_that_was_asked_for_longest_ago_is_forgotten(
    measuring: Measuring, sandboxes: Sandboxes, model: Path
) -> None:
    for slots in (1, 2, 1, 3, 1, 2):
        await measuring.answer(question(model, slots))
    assert [measure.slots[0] for measure in sandboxes.asked] == [1, 2, 3, 2]


@pytest.mark.parametrize("failure", [ProcessDiedError(), TookTooLongError(), OverloadedError()], ids=repr)
async def test_a_failure_is_told_and_not_remembered(
    measuring: Measuring, sandboxes: Sandboxes, model: Path, failure: SandboxError
) -> None:
    sandboxes.play = lambda _: failure
    assert (await measuring.answer(question(model, 1))).error
    sandboxes.play = sizes
    assert not (await measuring.answer(question(model, 1))).error


async def test_fewer_sizes_than_asked_for_are_told_and_not_remembered(
    measuring: Measuring, sandboxes: Sandboxes, model: Path
) -> None:
    sandboxes.play = lambda _: wire.Measured(footprints=[wire.Footprint(slots=1)])
    assert len((await measuring.answer(question(model, 1, 2))).footprints) == 1
    sandboxes.play = sizes
    assert len((await measuring.answer(question(model, 1, 2))).footprints) == 2


async def test_a_missing_file_is_told_without_a_dry_run(
    measuring: Measuring, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    answer = await measuring.answer(question(tmp_path / "gone.gguf", 1, number=9))
    assert (answer.id, answer.error) == (9, "a file of the model cannot be read: No such file or directory")
    assert not sandboxes.asked
