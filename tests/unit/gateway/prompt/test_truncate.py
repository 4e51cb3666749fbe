"""Prompts that do not fit lose old messages first, then their middle."""

from collections.abc import Sequence

import pytest

from gateway.generation.request import Message
from gateway.prompt.truncate import cut_middle, drop_oldest

TALK = [Message("system", "S"), Message("user", "1"), Message("assistant", "2"), Message("user", "3")]


async def rendered(messages: Sequence[Message]) -> str:
    return "".join(message.content for message in messages)


@pytest.mark.parametrize(("room", "kept"), [(4, "S123"), (3, "S23"), (2, "S3"), (1, "S3")])
async def test_system_messages_and_the_last_message_stay(room: int, kept: str) -> None:
    assert await drop_oldest(TALK, rendered, lambda text: len(text) <= room) == kept


@pytest.mark.parametrize("room", range(0, 1100, 7))
async def test_a_long_history_is_cut_as_late_as_possible_and_rendered_seldom(room: int) -> None:
    talk = [Message("system" if number % 10 == 0 else "user", "x") for number in range(1000)]
    renderings = 0

    async def counted(messages: Sequence[Message]) -> int:
        nonlocal renderings
        renderings += 1
        return len(messages)

    system_messages = 100
    kept = await drop_oldest(talk, counted, lambda size: size <= room)
    assert kept == min(max(room, system_messages + 1), 1000)
    assert renderings <= 12


async def test_a_history_of_one_message_stays_whole() -> None:
    assert await drop_oldest(TALK[:1], rendered, lambda _: False) == "S"


def test_the_middle_is_cut_and_half_of_the_rest_is_kept_free() -> None:
    cut = cut_middle(list(range(100)), 20, 4, has_bos=False)
    assert cut == [0, 1, 2, 3, *range(92, 100)]


def test_bos_is_kept_beside_num_keep() -> None:
    assert cut_middle(list(range(100)), 20, 4, has_bos=True)[:6] == [0, 1, 2, 3, 4, 92]


@pytest.mark.parametrize("keep", [-1, 19, 20, 10**6])
def test_keeping_everything_keeps_as_much_as_fits(keep: int) -> None:
    assert cut_middle(list(range(100)), 20, keep, has_bos=False) == list(range(19))
