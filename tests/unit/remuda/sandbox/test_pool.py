"""Child processes that answer questions."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from support.echo_sandbox import DIE, HANG
from support.serving import until

from remuda.durations import NANOSECONDS
from remuda.sandbox.pool import (
    DidNotStartError,
    OverloadedError,
    ProcessDiedError,
    Sandbox,
    SandboxPool,
    TookTooLongError,
    sandbox_environment,
)

TESTS = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    path = sandbox_environment().get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}:{path}")


@asynccontextmanager
async def pool_of(
    *,
    waiting: int = 8,
    timeout_ns: int = 10**10,
    start_timeout_ns: int = 30 * NANOSECONDS["s"],
    memory: int = 1 << 30,
    environment: Mapping[str, str] | None = None,
    single_use: bool = False,
) -> AsyncGenerator[SandboxPool]:
    pool = SandboxPool(
        Sandbox(
            module="support.echo_sandbox",
            memory=memory,
            arguments=(),
            niceness=0,
            processes=1,
            waiting=waiting,
            timeout_ns=timeout_ns,
            start_timeout_ns=start_timeout_ns,
            environment=environment,
            single_use=single_use,
        )
    )
    yield pool
    await pool.close()


async def pid_of(pool: SandboxPool) -> int:
    return int((await pool.ask(b"?")).split()[0])


async def test_one_process_answers_one_question_after_another() -> None:
    async with pool_of() as pool:
        answers = await asyncio.gather(*(pool.ask(b"%d" % number) for number in range(5)))
        assert [answer.split()[1] for answer in answers] == [b"0", b"1", b"2", b"3", b"4"]
        assert len({answer.split()[0] for answer in answers}) == 1


async def test_a_question_that_kills_is_asked_twice_and_the_next_one_is_answered() -> None:
    async with pool_of() as pool:
        first = await pid_of(pool)
        with pytest.raises(ProcessDiedError):
            await pool.ask(DIE)
        assert await pid_of(pool) != first
        assert not psutil.pid_exists(first)


async def test_a_process_that_does_not_start_is_no_fault_of_the_question() -> None:
    async with pool_of(start_timeout_ns=1) as pool:
        with pytest.raises(DidNotStartError):
            await pool.ask(b"?")


async def test_a_question_that_hangs_is_ended() -> None:
    async with pool_of(timeout_ns=10**8) as pool:
        with pytest.raises(TookTooLongError):
            await pool.ask(HANG)
        await pid_of(pool)


async def test_a_process_that_hangs_is_ended_when_its_reader_leaves() -> None:
    async with pool_of() as pool:
        first = await pid_of(pool)
        hanging = asyncio.create_task(pool.ask(HANG))
        await asyncio.sleep(0)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert await pid_of(pool) != first


async def test_a_process_that_soon_answers_outlives_its_reader() -> None:
    async with pool_of() as pool:
        first = await pid_of(pool)
        leaving = asyncio.create_task(pool.ask(b"x"))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await pid_of(pool) == first


async def test_questions_beyond_the_queue_are_refused_at_once() -> None:
    async with pool_of(waiting=1) as pool:
        waiting = [asyncio.create_task(pool.ask(b"x")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await pool.ask(b"y")
        await asyncio.gather(*waiting)
        await pid_of(pool)


async def test_a_process_for_single_use_ends_and_the_next_one_starts_by_itself() -> None:
    others = set(psutil.Process().children())
    async with pool_of(single_use=True) as pool:
        first = await pid_of(pool)
        await asyncio.to_thread(until, lambda: not psutil.pid_exists(first))
        (spare,) = await asyncio.to_thread(until, lambda: set(psutil.Process().children()) - others)
        assert await pid_of(pool) == spare.pid


async def test_a_process_gets_the_environment_and_the_memory_that_its_kind_has() -> None:
    async with pool_of(memory=0, environment=sandbox_environment() | {"REMUDA_X": "1"}) as pool:
        assert await pool.ask(b"$REMUDA_X") == b"1"
        process = psutil.Process(await pid_of(pool))
        assert process.rlimit(psutil.RLIMIT_AS) == (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY)
    async with pool_of() as pool:
        assert psutil.Process(await pid_of(pool)).rlimit(psutil.RLIMIT_AS)[0] == 1 << 30
