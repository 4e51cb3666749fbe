"""A client that goes away frees what it held, in whatever state its request is."""

import asyncio
import contextlib
from collections.abc import Generator

import httpx
import pytest
from support.models_folder import ENDLESS, install_endless, models_folder
from support.serving import Server, running_server, short_folder, until


@pytest.fixture(scope="module")
def one_slot() -> Generator[Server]:
    """A server with a single slot and a model that talks for ever."""
    with short_folder() as folder:
        install_endless(models_folder(folder))
        with running_server(folder, OLLAMA_NUM_PARALLEL="1", OLLAMA_MAX_QUEUE="2") as server:
            yield server


@contextlib.contextmanager
def talking(server: Server) -> Generator[httpx.Response]:
    """A stream that has begun. Leaving the block cuts the connection."""
    with httpx.stream("POST", f"{server.url}/api/generate", json=ENDLESS, timeout=20) as reply:
        lines = reply.iter_lines()  # the name keeps it alive: its end would close the connection
        next(lines)
        yield reply


def outcomes(server: Server, outcome: str) -> int:
    return server.log.count(f'"outcome": "{outcome}"')


def test_a_client_that_leaves_its_stream_frees_the_slot(one_slot: Server) -> None:
    for _ in range(3):  # each stream needs the slot of the one before
        with talking(one_slot) as reply:
            assert reply.status_code == 200


def test_a_client_that_leaves_the_queue_is_forgotten(one_slot: Server) -> None:
    with talking(one_slot):
        before = outcomes(one_slot, "cancelled")
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{one_slot.url}/api/generate", json=ENDLESS | {"stream": False}, timeout=0.3)
        until(lambda: outcomes(one_slot, "cancelled") > before)

    with talking(one_slot) as reply:
        assert reply.status_code == 200


def test_a_client_that_leaves_an_unstreamed_reply_stops_the_generation(one_slot: Server) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{one_slot.url}/api/generate", json=ENDLESS | {"stream": False}, timeout=0.5)

    with talking(one_slot) as reply:
        assert reply.status_code == 200


async def test_one_request_more_than_the_queue_holds_is_refused_at_once(one_slot: Server) -> None:
    with talking(one_slot):
        async with httpx.AsyncClient(base_url=one_slot.url, timeout=20) as client:
            requests = [asyncio.create_task(client.post("/api/generate", json=ENDLESS)) for _ in range(3)]
            done, waiting = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
            for request in waiting:
                request.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    (refused,) = [request.result() for request in done]
    assert refused.status_code == 503
    assert refused.json() == {"error": "server busy, please try again.  maximum pending requests exceeded"}
