"""The memory for request bodies."""

import threading

import orjson
import psutil
import pytest

from gateway.errors import ErrorKind, GatewayError
from gateway.http.body_budget import SMALL, VALUE_SIZE, BodyBudget, BodyMemory, values_size


def test_a_reservation_that_does_not_fit_beside_others_is_busy() -> None:
    budget = BodyBudget(100)
    first, second = BodyMemory(budget), BodyMemory(budget)
    first.grow(60)
    with pytest.raises(GatewayError) as caught:
        second.grow(41)
    assert caught.value.kind is ErrorKind.BUSY
    second.grow(40)
    first.clear()
    second.grow(60)
    second.clear()
    assert budget.reserved == 0


def test_a_reservation_that_never_fits_is_too_large() -> None:
    memory = BodyMemory(BodyBudget(100))
    memory.grow(60)
    with pytest.raises(GatewayError) as caught:
        memory.grow(41)
    assert caught.value.kind is ErrorKind.TOO_LARGE


def test_large_bodies_leave_room_for_small_ones() -> None:
    budget = BodyBudget(16 * SMALL)
    large, other, small = BodyMemory(budget), BodyMemory(budget), BodyMemory(budget)
    large.grow(13 * SMALL)
    other.grow(SMALL)
    with pytest.raises(GatewayError):
        other.grow(1)
    small.grow(SMALL)
    with pytest.raises(GatewayError):
        small.grow(1)


def test_a_body_that_will_be_large_never_takes_the_room_of_small_ones() -> None:
    budget = BodyBudget(16 * SMALL)
    large, other, small = BodyMemory(budget), BodyMemory(budget, SMALL + 1), BodyMemory(budget, SMALL)
    large.grow(14 * SMALL)
    with pytest.raises(GatewayError) as caught:
        other.grow(1)
    assert caught.value.kind is ErrorKind.BUSY
    small.grow(SMALL)


def test_a_body_that_will_never_fit_is_refused_at_its_first_part() -> None:
    with pytest.raises(GatewayError) as caught:
        BodyMemory(BodyBudget(100), 101).grow(1)
    assert caught.value.kind is ErrorKind.TOO_LARGE


def test_threads_may_share_a_budget() -> None:
    budget = BodyBudget(1 << 30)

    def use() -> None:
        for _ in range(2000):
            memory = BodyMemory(budget)
            memory.grow(7)
            memory.clear()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.reserved == 0


def test_the_values_of_one_body_have_a_limit_of_their_own() -> None:
    memory = BodyMemory(BodyBudget(64 * VALUE_SIZE))
    memory.grow_by_values(b"[1,2,3,4,5,6,7,8]")
    with pytest.raises(GatewayError) as caught:
        memory.grow_by_values(b"[1,2,3,4,5,6,7,8,9]")
    assert caught.value.kind is ErrorKind.TOO_LARGE


PIECES = [b"[],", b'{"a":1},', b'"ab",', b"[[[[]]]],", b"12345,", b"1.5,", b'{"a":"bb","b":"cc"},']


@pytest.mark.parametrize("piece", PIECES)
def test_what_is_reserved_for_values_is_what_they_take(piece: bytes) -> None:
    body = b"[%b0]" % (piece * 300_000)
    before = psutil.Process().memory_info().rss
    value = orjson.loads(body)
    taken = psutil.Process().memory_info().rss - before
    assert value
    assert taken < 1.1 * (len(body) + values_size(body))
