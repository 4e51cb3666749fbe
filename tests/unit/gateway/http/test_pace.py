"""What counts as progress of a client."""

import asyncio

import pytest
from starlette.types import Message

from gateway.errors import ErrorKind, GatewayError
from gateway.http.pace import NO_STANDING, Pace, PacedReceive, Standing, is_silent, is_unread

HEAD, BODY = ("a head", 0), ("a body", 1)


@pytest.mark.parametrize(
    ("before", "now", "silent"),
    [
        (None, HEAD, False),
        (HEAD, HEAD, True),
        (HEAD, BODY, False),
        (HEAD, None, False),
        (None, None, False),
        (HEAD, ("a head", 1), False),
    ],
)
def test_a_client_that_owes_the_same_for_a_whole_period_is_silent(
    before: tuple[str, int] | None, now: tuple[str, int] | None, silent: bool
) -> None:
    assert is_silent(Standing(before, 0, 0), Standing(now, 0, 0)) is silent


@pytest.mark.parametrize(
    ("before", "now", "unread"),
    [
        (NO_STANDING, Standing(None, 50, 0), False),
        (Standing(None, 50, 100), Standing(None, 50, 109), True),
        (Standing(None, 50, 100), Standing(None, 50, 110), False),
        (Standing(None, 50, 100), Standing(None, 0, 105), False),
    ],
)
def test_a_client_must_read_a_little_in_each_period(before: Standing, now: Standing, unread: bool) -> None:
    assert is_unread(before, now, 10) is unread


class SlowClient:
    """Sends parts of a body, each after some seconds."""

    def __init__(self, *parts: tuple[float, int]) -> None:
        self._parts = list(parts)

    async def receive(self) -> Message:
        if not self._parts:
            return {"type": "http.disconnect"}
        pause, size = self._parts.pop(0)
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": bytes(size), "more_body": bool(self._parts)}


async def receive_all(pace: Pace, *parts: tuple[float, int]) -> int:
    receive = PacedReceive(SlowClient(*parts).receive, pace)
    return sum([len((await receive())["body"]) for _ in parts])


async def test_a_body_that_makes_progress_may_take_many_periods() -> None:
    assert await receive_all(Pace(10, 0.4), *[(0.1, 10)] * 10) == 100


async def test_small_parts_count_together() -> None:
    assert await receive_all(Pace(10, 0.4), *[(0.02, 2)] * 40) == 80


@pytest.mark.parametrize("size", [0, 1])
async def test_a_body_with_too_few_bytes_in_a_period_is_given_up(size: int) -> None:
    with pytest.raises(GatewayError) as caught:
        await receive_all(Pace(1000, 0.1), *[(0.02, size)] * 1000)
    assert caught.value.kind is ErrorKind.TIMED_OUT


async def test_the_more_of_a_body_has_arrived_the_more_must_follow() -> None:
    slow = [(0.02, 10)] * 100
    assert await receive_all(Pace(10, 0.1), *slow) == 1000
    with pytest.raises(GatewayError) as caught:
        await receive_all(Pace(10, 0.1), (0, 100_000), *slow)
    assert caught.value.kind is ErrorKind.TIMED_OUT


async def test_only_waiting_counts() -> None:
    receive = PacedReceive(SlowClient((0, 1), (0, 1)).receive, Pace(10, 0.1))
    await receive()
    await asyncio.sleep(0.2)  # the application is busy
    assert not (await receive())["more_body"]


async def test_after_the_body_there_is_no_deadline() -> None:
    left = asyncio.Event()

    async def receive_body_and_wait() -> Message:
        if complete:
            await left.wait()
        return {"type": "http.disconnect"} if complete else {"type": "http.request", "body": b"a"}

    complete = False
    receive = PacedReceive(receive_body_and_wait, Pace(10, 0.05))
    await receive()
    complete = True
    asyncio.get_running_loop().call_later(0.2, left.set)
    assert (await receive())["type"] == "http.disconnect"
