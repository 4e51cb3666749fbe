"""Calls that the store or the scheduler drops, and crowds that want one model. Sockets and gRPC are real."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from support.gateway_world import FINISHED, STOP, World, start_store, world_in

from gateway.links.dropped_calls import is_away, is_dropped, persist

GENERATE = {"model": "cria", "prompt": "hi", "stream": False}
DROPPED = [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE]


@pytest.fixture
async def world(private_folder: Path) -> AsyncGenerator[World]:
    async with world_in(private_folder) as world:
        yield world


async def served(world: World, body: dict[str, Any]) -> int:
    """The status of a request. It runs as soon as it is submitted."""
    call = asyncio.create_task(world.client.post("/api/generate", json=body))
    running = asyncio.create_task(world.running())
    await asyncio.wait((call, running), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        world.push(running.result(), "", finished=STOP)
        world.scheduler.events.put_nowait(FINISHED)
    running.cancel()
    return (await call).status_code


async def test_of_a_crowd_that_wants_one_model_one_asks_the_store(world: World) -> None:
    world.store.answers = asyncio.Event()
    crowd = [asyncio.create_task(world.client.post("/api/generate", json=GENERATE)) for _ in range(20)]
    await world.store.resolved.get()
    crowd[0].cancel()
    world.store.answers.set()
    for _ in crowd[1:]:
        world.push(await world.running(), "", finished=STOP)
        world.scheduler.events.put_nowait(FINISHED)
    assert {(await call).status_code for call in crowd[1:]} == {200}
    assert world.store.resolved.empty()


async def test_the_next_one_asks_the_store_again(world: World) -> None:
    for _ in range(2):
        assert await served(world, GENERATE) == 200
        assert world.store.resolved.get_nowait() == "cria"


async def test_a_crowd_that_wants_what_is_not_there_is_told_so(world: World) -> None:
    body = GENERATE | {"model": "nope"}
    replies = await asyncio.gather(*(world.client.post("/api/generate", json=body) for _ in range(3)))
    assert {(reply.status_code, reply.json()["error"]) for reply in replies} == {(404, "model 'nope' not found")}


@pytest.mark.parametrize("code", DROPPED)
async def test_a_resolve_that_is_dropped_is_made_again(world: World, code: grpc.StatusCode) -> None:
    world.store.drops = [code, code]
    assert await served(world, GENERATE) == 200


@pytest.mark.parametrize("code", DROPPED)
async def test_a_submit_that_is_dropped_is_made_again(world: World, code: grpc.StatusCode) -> None:
    world.scheduler.drops = [code, code]
    assert await served(world, GENERATE) == 200


@pytest.mark.parametrize("code", DROPPED)
@pytest.mark.parametrize("body", [{}, {"keep_alive": 0}])
async def test_a_load_or_unload_that_is_dropped_is_made_again(
    world: World, body: dict[str, Any], code: grpc.StatusCode
) -> None:
    world.scheduler.drops = [code, code]
    assert (await world.client.post("/api/generate", json={"model": "cria", **body})).status_code == 200


@pytest.mark.parametrize("code", DROPPED)
@pytest.mark.parametrize("path", ["/api/ps", "/api/tags"])
async def test_a_list_that_is_dropped_is_asked_for_again(world: World, path: str, code: grpc.StatusCode) -> None:
    world.store.drops = [code, code]
    world.scheduler.drops = [code, code]
    assert (await world.client.get(path)).status_code == 200


async def test_a_store_that_dies_over_a_resolve_is_asked_again_once_it_is_back(world: World) -> None:
    world.store.answers = asyncio.Event()
    call = asyncio.create_task(served(world, GENERATE))
    await world.store.resolved.get()
    await world.store_server.stop(None)
    world.store.answers = None
    world.store_server = await start_store(world.endpoints, world.store)
    assert await call == 200


@pytest.mark.parametrize("code", DROPPED)
async def test_a_call_that_is_dropped_again_and_again_is_a_503(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode
) -> None:
    monkeypatch.setenv("REMUDA_SUBMIT_TIMEOUT", "200ms")
    async with world_in(private_folder) as world:
        world.scheduler.drops = [code] * 100
        calls = [world.client.post("/api/generate", json=body) for body in (GENERATE, {"model": "cria"})]
        calls += [world.client.get("/api/ps")]
        assert [(await call).json()["error"] for call in calls] == ["the scheduler is not available"] * 3
        world.store.drops = [code] * 100
        calls = [world.client.post("/api/show", json={"model": "cria"}), world.client.get("/api/tags")]
        replies = [await call for call in calls]
        assert [(reply.status_code, reply.json()["error"]) for reply in replies] == [
            (503, "the model store is not available")
        ] * 2


async def test_a_call_that_the_peer_answers_with_an_error_is_not_made_again() -> None:
    attempts = list[float]()

    async def fails(left_s: float) -> None:
        attempts.append(left_s)
        raise error(grpc.StatusCode.NOT_FOUND)

    with pytest.raises(grpc.aio.AioRpcError):
        await persist(fails, 1)
    assert attempts == [pytest.approx(1, abs=0.1)]


def test_a_call_that_took_too_long_is_not_made_again_but_its_peer_is_away() -> None:
    late = error(grpc.StatusCode.DEADLINE_EXCEEDED)
    assert (is_dropped(late), is_away(late)) == (False, True)


def error(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())
