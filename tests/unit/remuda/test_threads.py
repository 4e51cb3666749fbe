"""Threads for one kind of blocking work."""

import asyncio
import gc
import threading
import weakref

import pytest

from remuda.threads import Threads


class OverloadedError(Exception):
    pass


async def test_calls_beyond_the_threads_and_the_queue_are_refused() -> None:
    threads, gate = Threads("test", 1, 1, OverloadedError), threading.Event()
    calls = [asyncio.create_task(threads.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await threads.run(gate.wait)
    gate.set()
    assert await asyncio.gather(*calls) == [True, True]
    assert await threads.run(lambda: 3) == 3


async def test_work_whose_caller_has_left_is_dropped() -> None:
    threads, gate, begun = Threads("test", 1, 1, OverloadedError), threading.Event(), threading.Event()
    first = asyncio.create_task(threads.run(gate.wait))
    second = asyncio.create_task(threads.run(begun.set))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    await first
    assert await threads.run(begun.is_set) is False


async def test_work_that_goes_on_without_its_caller_keeps_its_thread() -> None:
    threads, gate = Threads("test", 1, 0, OverloadedError), threading.Event()
    first = asyncio.create_task(threads.run(gate.wait))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(OverloadedError):
        await threads.run(gate.wait)
    gate.set()


async def test_nothing_is_kept_for_a_caller_who_has_left() -> None:
    class Burden:
        def use(self) -> None:
            pass

    threads, gate = Threads("test", 1, 1, OverloadedError), threading.Event()
    first = asyncio.create_task(threads.run(gate.wait))
    burden = Burden()
    left = asyncio.create_task(threads.run(burden.use))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait((left,))
    kept = weakref.ref(burden)
    del burden, left
    gc.collect()
    assert kept() is None
    gate.set()
    await first
