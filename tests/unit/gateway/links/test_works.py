"""Works that stay in their gateway: who may fetch them, and until when."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import grpc
import grpc.aio
import pytest
from support.gateway_world import RUNNING, STOP, World, world_in

from gateway.links.works import CHUNK
from remuda.rpc import open_channel
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc, wire_pb2

LARGE = wire_pb2.Work(segments=[wire_pb2.Segment(tokens=[1], media=bytes(5 * CHUNK))])
LOST = pb.RequestEvent(lost=pb.Lost(message="signal SIGKILL"))


@pytest.fixture
async def world(private_folder: Path) -> AsyncGenerator[World]:
    async with world_in(private_folder) as world:
        yield world


@pytest.fixture
async def works(world: World) -> AsyncGenerator[serving_pb2_grpc.WorksStub]:
    """The gateway's service as workers see it."""
    async with open_channel(world.endpoints.gateway(0)) as channel:
        yield serving_pb2_grpc.WorksStub(channel)


def outputs(world: World, work: wire_pb2.Work) -> AsyncGenerator[object]:
    return world.scheduler_link.submission(pb.ModelSpec(name="cria"), None, work).outputs()


async def fetched(works: serving_pb2_grpc.WorksStub, request: pb.SubmitRequest) -> wire_pb2.Work:
    """The work of a submission, as its worker fetches it."""
    fetch = pb.FetchRequest(request_id=request.request_id, attempt=request.attempt)
    chunks = [chunk.data async for chunk in works.Fetch(fetch)]
    assert max(map(len, chunks)) <= CHUNK
    assert sum(map(len, chunks)) == request.work.kept.size
    return wire_pb2.Work.FromString(b"".join(chunks))


async def assert_unwanted(works: serving_pb2_grpc.WorksStub, request: pb.SubmitRequest) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await fetched(works, request)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_small_work_travels_with_its_request(world: World, works: serving_pb2_grpc.WorksStub) -> None:
    small = wire_pb2.Work(prompt=[1, 2, 3])
    async with aclosing(outputs(world, small)) as reply:
        first = asyncio.ensure_future(anext(reply))
        request = await world.running()
        assert wire_pb2.Work.FromString(request.work.inline) == small
        await assert_unwanted(works, request)
        world.push(request, "x", finished=STOP)
        await first


async def test_a_large_work_stays_until_a_worker_fetches_it(world: World, works: serving_pb2_grpc.WorksStub) -> None:
    async with aclosing(outputs(world, LARGE)) as reply:
        first = asyncio.ensure_future(anext(reply))
        request = await world.scheduler.submitted.get()
        assert request.work.kept.target == world.endpoints.gateway(0)
        assert request.ByteSize() < 1000
        assert await fetched(works, request) == LARGE
        world.scheduler.events.put_nowait(RUNNING)
        world.push(request, "x")
        await first
        await assert_unwanted(works, request)  # no attempt follows the first output


async def test_the_latest_attempt_alone_may_fetch(world: World, works: serving_pb2_grpc.WorksStub) -> None:
    async with aclosing(outputs(world, LARGE)) as reply:
        first = asyncio.ensure_future(anext(reply))
        lost = await world.running()
        world.scheduler.events.put_nowait(LOST)
        request = await world.running()
        await assert_unwanted(works, lost)
        assert await fetched(works, request) == LARGE
        world.push(request, "x", finished=STOP)
        await first


async def test_a_client_that_leaves_takes_its_work_along(world: World, works: serving_pb2_grpc.WorksStub) -> None:
    reader = asyncio.ensure_future(anext(outputs(world, LARGE)))
    request = await world.running()
    reader.cancel()
    await world.scheduler.cancelled.get()
    await asyncio.wait((reader,))
    await assert_unwanted(works, request)


async def test_a_client_that_leaves_breaks_off_the_fetch_of_its_work(
    world: World, works: serving_pb2_grpc.WorksStub
) -> None:
    huge = wire_pb2.Work(segments=[wire_pb2.Segment(media=bytes(100 * CHUNK))])  # more than a socket holds
    reader = asyncio.ensure_future(anext(outputs(world, huge)))
    request = await world.running()
    chunks = aiter(works.Fetch(pb.FetchRequest(request_id=request.request_id)))
    await anext(chunks)
    reader.cancel()
    await asyncio.wait((reader,))
    with pytest.raises(grpc.aio.AioRpcError) as broken:
        [chunk async for chunk in chunks]
    assert broken.value.code() is grpc.StatusCode.NOT_FOUND


async def test_nobody_fetches_what_was_never_submitted(works: serving_pb2_grpc.WorksStub) -> None:
    await assert_unwanted(works, pb.SubmitRequest(request_id=1))
