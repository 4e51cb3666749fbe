"""A submission from its reader's side: what it gets, whatever becomes of attempts, workers and the scheduler."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
from support.gateway_world import FINISHED, RUNNING, STOP, USAGE, Call, World, world_in

from gateway.errors import QUEUE_FULL, WORKER_STOPPED, ErrorKind, GatewayError
from gateway.links.attempts import ATTEMPTS, SCHEDULER_AWAY, Progress
from gateway.links.submission import Output, Submission
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2

CHAT = {"model": "cria", "messages": [{"role": "user", "content": "hi"}]}
GENERATE = {"model": "cria", "prompt": "hi"}
LOST = pb.RequestEvent(lost=pb.Lost(message="signal SIGKILL"))


@pytest.fixture
async def world(private_folder: Path) -> AsyncGenerator[World]:
    async with world_in(private_folder) as world:
        yield world


def submission(world: World) -> Submission:
    return world.scheduler_link.submission(pb.ModelSpec(name="cria"), None, wire_pb2.Work(prompt=[1]))


async def read(submission: Submission) -> list[Output]:
    return [output async for output in submission.outputs()]


def reading(submission: Submission) -> "asyncio.Task[list[Output]]":
    """Reads a submission to its end; awaiting the task gives its outputs."""
    return asyncio.create_task(read(submission))


def rejected(code: "pb.Rejected.Code", message: str = "") -> pb.RequestEvent:
    return pb.RequestEvent(rejected=pb.Rejected(code=code, message=message))


async def test_pieces_that_wait_together_are_one_output(world: World) -> None:
    reader = reading(submission(world))
    world.push(await world.running(), *"abc", finished=STOP)
    (output,) = await reader
    assert (output.text, output.tokens, output.finished) == ("abc", (1, 1, 1), STOP)


def test_the_progress_tells_what_a_request_waited_for() -> None:
    progress = Progress(submitted_ns=1)
    progress.see(pb.RequestEvent(loading=pb.Loading()))
    assert (progress.waited_for_load, progress.running_ns) == (True, 0)
    progress.see(RUNNING)
    began_ns = progress.running_ns
    progress.mark_running()
    assert progress.running_ns == began_ns
    assert progress.waited_ns == began_ns - 1


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (pb.Rejected.CODE_QUEUE_FULL, ErrorKind.BUSY, QUEUE_FULL),
        (pb.Rejected.CODE_LOAD_FAILED, ErrorKind.INTERNAL, "bad tensor"),
    ],
)
async def test_a_refusal_ends_the_request(
    world: World, code: "pb.Rejected.Code", kind: ErrorKind, message: str
) -> None:
    reader = reading(submission(world))
    world.scheduler.events.put_nowait(rejected(code, "bad tensor"))
    with pytest.raises(GatewayError) as caught:
        await reader
    assert (caught.value.kind, caught.value.message) == (kind, message)


async def test_a_scheduler_that_is_not_ready_gets_another_attempt(world: World) -> None:
    reader = reading(submission(world))
    world.scheduler.events.put_nowait(rejected(pb.Rejected.CODE_UNAVAILABLE))
    first = await world.scheduler.submitted.get()
    second = await world.running()
    world.push(second, "x", finished=STOP)
    assert [output.text for output in await reader] == ["x"]
    assert (second.request_id, second.attempt) == (first.request_id, first.attempt + 1)


async def test_a_scheduler_that_stays_away_is_an_error(private_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMUDA_SUBMIT_TIMEOUT", "100ms")
    async with world_in(private_folder) as world:
        await world.scheduler_server.stop(None)
        with pytest.raises(GatewayError) as caught:
            await read(submission(world))
    assert (caught.value.kind, caught.value.message) == (ErrorKind.UNAVAILABLE, SCHEDULER_AWAY)


async def test_a_request_without_output_may_lose_two_workers_and_no_more(world: World) -> None:
    reader = reading(submission(world))
    attempts: list[int] = []
    for _ in range(ATTEMPTS):
        attempts.append((await world.running()).attempt)
        world.scheduler.events.put_nowait(LOST)
    with pytest.raises(GatewayError) as caught:
        await reader
    assert (caught.value.kind, caught.value.message) == (ErrorKind.FAILED, WORKER_STOPPED)
    assert attempts == [0, 1, 2]
    assert world.scheduler.submitted.empty()


async def test_a_request_with_output_is_not_begun_again(world: World) -> None:
    async with aclosing(submission(world).outputs()) as outputs:
        first = asyncio.ensure_future(anext(outputs))
        world.push(await world.running(), "some")
        assert (await first).text == "some"
        world.scheduler.events.put_nowait(LOST)
        with pytest.raises(GatewayError) as caught:
            await anext(outputs)
    assert (caught.value.kind, caught.value.message) == (ErrorKind.FAILED, WORKER_STOPPED)
    assert world.scheduler.submitted.empty()


@pytest.mark.parametrize(("is_invalid", "kind"), [(True, ErrorKind.INVALID), (False, ErrorKind.FAILED)])
async def test_the_worker_says_whose_fault_a_failure_is(world: World, is_invalid: bool, kind: ErrorKind) -> None:
    reader = reading(submission(world))
    failure = pb.Finished(reason=pb.FINISH_REASON_ERROR, usage=USAGE, error="no", invalid=is_invalid)
    world.push(await world.running(), "", finished=failure)
    with pytest.raises(GatewayError) as caught:
        await reader
    assert (caught.value.kind, caught.value.message) == (kind, "no")


async def test_closing_the_reader_cancels_the_request(world: World) -> None:
    request = submission(world)
    async with aclosing(request.outputs()) as outputs:
        first = asyncio.ensure_future(anext(outputs))
        world.push(await world.running(), "some")
        await first
    assert await world.scheduler.cancelled.get() == request.id


async def test_the_last_piece_may_not_come_long_after_the_end(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMUDA_LAST_PIECE_TIMEOUT", "50ms")
    async with world_in(private_folder) as world:
        reader = reading(submission(world))
        await world.running()
        world.scheduler.events.put_nowait(FINISHED)
        with pytest.raises(GatewayError) as caught:
            await reader
    assert (caught.value.kind, caught.value.message) == (ErrorKind.FAILED, WORKER_STOPPED)


async def test_a_request_that_outlived_its_scheduler_is_cancelled_at_the_next_one(world: World) -> None:
    request = submission(world)
    async with aclosing(request.outputs()) as outputs:
        first = asyncio.ensure_future(anext(outputs))
        world.push(await world.running(), "some")
        await first
        await world.restart_scheduler()
        assert await world.scheduler.cancelled.get() == request.id  # the old scheduler's call has ended
        second = asyncio.ensure_future(anext(outputs))
        world.push(request.request, "more")
        assert (await second).text == "more"
    assert await world.scheduler.cancelled.get() == request.id
    assert world.scheduler.submitted.empty()


async def test_a_request_that_outlived_its_scheduler_may_not_be_silent_for_long(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMUDA_ORPHAN_TIMEOUT", "50ms")
    async with world_in(private_folder) as world, aclosing(submission(world).outputs()) as outputs:
        first = asyncio.ensure_future(anext(outputs))
        world.push(await world.running(), "some")
        await first
        await world.restart_scheduler()
        with pytest.raises(GatewayError) as caught:
            await anext(outputs)
    assert (caught.value.kind, caught.value.message) == (ErrorKind.FAILED, WORKER_STOPPED)


async def test_a_request_without_output_survives_its_worker(world: World) -> None:
    call = asyncio.create_task(world.client.post("/api/generate", json=GENERATE))
    await world.running()
    world.scheduler.events.put_nowait(LOST)
    second = await world.running()
    world.push(second, "whole", finished=STOP)
    assert '"response":"whole"' in (await call).text
    assert second.attempt == 1


async def test_a_running_stream_survives_the_schedulers_restart(world: World) -> None:
    call = Call(world.app, "/api/chat", CHAT)
    running = asyncio.create_task(call.run())
    request = await world.running()
    world.push(request, "before")
    assert (await call.chunk())["message"]["content"] == "before"
    await world.restart_scheduler()
    world.push(request, "after", finished=STOP)
    assert (await call.chunk())["message"]["content"] == "after"
    assert (await call.chunk())["done"]
    await running


async def test_a_waiting_request_is_submitted_again_to_the_next_scheduler(world: World) -> None:
    call = asyncio.create_task(world.client.post("/api/chat", json=CHAT | {"stream": False}))
    first = await world.scheduler.submitted.get()
    await world.restart_scheduler()
    second = await world.running()
    assert (second.request_id, second.attempt) == (first.request_id, first.attempt + 1)
    world.push(first, "of the first attempt")
    world.push(second, "of the second", finished=STOP)
    assert (await call).json()["message"]["content"] == "of the second"
