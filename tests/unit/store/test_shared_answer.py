"""Who gets whose answer."""

import asyncio

import pytest

from store.shared_answer import SharedAnswer


class Work:
    """Answers with its number, once it is allowed to."""

    def __init__(self) -> None:
        self.begun = 0
        self.allowed = asyncio.Semaphore(0)

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.allowed.acquire()
        return number


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_ask_at_once_get_one_answer() -> None:
    work = Work()
    answer = SharedAnswer(work)
    work.allowed.release()
    assert await asyncio.gather(*(answer.get() for _ in range(10))) == [1] * 10


async def test_who_asks_later_gets_a_later_answer_and_the_work_is_done_one_at_a_time() -> None:
    work = Work()
    answer = SharedAnswer(work)
    early = asyncio.create_task(answer.get())
    await settle()
    late = [asyncio.create_task(answer.get()) for _ in range(10)]
    await settle()
    assert work.begun == 1
    work.allowed.release()
    work.allowed.release()
    assert await early == 1
    assert await asyncio.gather(*late) == [2] * 10


async def test_an_error_reaches_all_and_nobody_after_them() -> None:
    results = [OSError("no disk"), None]

    async def work() -> int:
        if error := results.pop(0):
            raise error
        return 7

    answer = SharedAnswer(work)
    errors = await asyncio.gather(answer.get(), answer.get(), return_exceptions=True)
    assert [type(error) for error in errors] == [OSError, OSError]
    assert await answer.get() == 7


async def test_the_first_may_leave() -> None:
    work = Work()
    answer = SharedAnswer(work)
    first, second = asyncio.create_task(answer.get()), asyncio.create_task(answer.get())
    await settle()
    first.cancel()
    work.allowed.release()
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first
