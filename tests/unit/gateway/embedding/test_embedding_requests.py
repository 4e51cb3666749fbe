"""Embedding requests at the gateway: what is submitted, how vectors come back, and every error's status and text."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.gateway_world import BUNDLE, FINISHED, Call, World, world_in

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2

NATIVE, OLD, OPENAI = "/api/embed", "/api/embeddings", "/v1/embeddings"


@pytest.fixture
async def world(private_folder: Path) -> AsyncGenerator[World]:
    async with world_in(private_folder) as world:
        yield world


def inputs_of(request: pb.SubmitRequest) -> list[list[int]]:
    return [list(entry.tokens) for entry in wire_pb2.Work.FromString(request.work.inline).embed.inputs]


def send(
    world: World, request: pb.SubmitRequest, vectors: dict[int, list[float]], finished: pb.Finished | None = None
) -> None:
    """Sends vectors as a worker does, in one frame."""
    piece = wire_pb2.TokenPiece(request_id=request.request_id, attempt=request.attempt)
    for index, vector in vectors.items():
        piece.embeddings.add(input=index, vector=np.array(vector, "<f4").tobytes())
    if finished is not None:
        piece.finished.CopyFrom(finished)
    world.worker.send(wire_pb2.TokenFrame(pieces=[piece]).SerializeToString())


def done(tokens: int) -> pb.Finished:
    return pb.Finished(reason=pb.FINISH_REASON_STOP, usage=pb.Usage(prompt_tokens=tokens, prefill_ns=5))


async def answered(world: World, path: str, body: dict[str, Any], vectors: dict[int, list[float]]) -> httpx.Response:
    """The reply to a request whose worker gives `vectors`, seven tokens in all."""
    posting = asyncio.create_task(world.client.post(path, json={"model": "cria", **body}))
    request = await world.running()
    send(world, request, vectors, done(7))
    world.scheduler.events.put_nowait(FINISHED)
    return await posting


async def test_vectors_are_normalised_and_in_the_order_of_the_inputs(world: World) -> None:
    posting = asyncio.create_task(world.client.post(NATIVE, json={"model": "cria", "input": ["one", "two", "three"]}))
    request = await world.running()
    send(world, request, {2: [0, 2], 0: [3, 4]})
    send(world, request, {1: [0, 0]}, done(7))
    world.scheduler.events.put_nowait(FINISHED)
    reply = (await posting).json()
    assert list(reply) == ["model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"]
    assert reply["embeddings"] == [[0.6, 0.8], [0, 0], [0, 1]]
    assert (reply["model"], reply["prompt_eval_count"]) == ("cria", 7)
    assert len(inputs_of(request)) == 3


@pytest.mark.parametrize(
    ("dimensions", "vector"), [(2, [0.6, 0.8]), (3, [0.6, 0.8, 0.0]), (9, [0.6, 0.8, 0.0]), (-1, [0.6, 0.8, 0.0])]
)
async def test_dimensions_shorten_what_is_longer(world: World, dimensions: int, vector: list[float]) -> None:
    reply = await answered(world, NATIVE, {"input": "x", "dimensions": dimensions}, {0: [3, 4, 0]})
    assert reply.json()["embeddings"] == [vector]


async def test_the_old_route_gives_the_vector_as_it_is_and_nothing_else(world: World) -> None:
    assert (
        await answered(world, OLD, {"prompt": "x"}, {0: [3, 0.1]})
    ).text == '{"embedding":[3.0,0.10000000149011612]}'


async def test_single_precision_is_written_with_its_own_digits(world: World) -> None:
    assert '"embeddings":[[0.6,0.8]]' in (await answered(world, NATIVE, {"input": "x"}, {0: [3, 4]})).text


@pytest.mark.parametrize("encoding", [None, "float", "Float"])
async def test_openai_gets_a_list_with_usage(world: World, encoding: str | None) -> None:
    reply = await answered(world, OPENAI, {"input": "x", "encoding_format": encoding}, {0: [3, 4]})
    assert reply.json() == {
        "object": "list",
        "data": [{"object": "embedding", "embedding": [0.6, 0.8], "index": 0}],
        "model": "cria",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


async def test_openai_gets_base64_of_single_precision(world: World) -> None:
    reply = await answered(world, OPENAI, {"input": ["x"], "encoding_format": "base64"}, {0: [0, 2]})
    assert base64.b64decode(reply.json()["data"][0]["embedding"]) == np.array([0, 1], "<f4").tobytes()


@pytest.mark.parametrize("given", [{"input": ""}, {"input": None}, {}, {"input": []}])
async def test_nothing_to_embed_loads_the_model(world: World, given: dict[str, Any]) -> None:
    assert (await world.client.post(NATIVE, json={"model": "cria", **given})).text == '{"model":"cria","embeddings":[]}'
    assert world.scheduler.submitted.empty()


async def test_an_empty_prompt_of_the_old_route_loads_the_model(world: World) -> None:
    assert (await world.client.post(OLD, json={"model": "cria"})).json() == {"embedding": []}


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        (NATIVE, {"model": "cria", "input": 3}, 400, "invalid input type"),
        (NATIVE, {"model": "cria", "input": {"text": "x"}}, 400, "invalid input type"),
        (NATIVE, {"model": "nobody", "input": ["x", 3]}, 400, "invalid input type"),
        (NATIVE, {"model": " ", "input": "x"}, 404, "model '' not found"),
        (NATIVE, {"model": "nobody", "input": "x"}, 404, 'model "nobody" not found, try pulling it first'),
        (NATIVE, {"model": "a//b", "input": "x"}, 404, 'model "a//b" not found, try pulling it first'),
        (
            NATIVE,
            {"model": "cria", "input": "horse " * 50, "truncate": False, "options": {"num_ctx": 8}},
            400,
            "the input length exceeds the context length",
        ),
        (NATIVE, {"model": "cria", "input": "x", "options": {"num_ctx": "8"}}, 500, None),
        (OLD, {"prompt": "x"}, 400, "model is required"),
        (OLD, {"model": "nobody", "prompt": "x"}, 404, 'model "nobody" not found, try pulling it first'),
        (NATIVE, {"model": "cria", "input": ["a", ""]}, 400, "input content cannot be empty"),
        (OPENAI, {"model": "cria", "input": ""}, 400, "input content cannot be empty"),
        (OPENAI, {"model": "cria"}, 400, "invalid input"),
        (OPENAI, {"model": "cria", "input": []}, 400, "invalid input"),
        (OPENAI, {"model": "cria", "input": [[1, 2]]}, 400, "invalid input type"),
        (OPENAI, {"model": "cria", "input": [1, 2]}, 400, "invalid input type"),
        (
            OPENAI,
            {"model": "cria", "input": "x", "encoding_format": "hex"},
            400,
            "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64'].",
        ),
    ],
)
async def test_errors_have_ollamas_status_and_text(
    world: World, path: str, body: dict[str, Any], status: int, text: str | None
) -> None:
    reply = await world.client.post(path, json=body)
    error = reply.json()["error"]
    assert reply.status_code == status
    assert text in (None, error if isinstance(error, str) else error["message"])


@pytest.mark.parametrize(("path", "status"), [(NATIVE, 400), (OLD, 500), (OPENAI, 400)])
async def test_a_failure_of_the_worker_has_each_routes_own_status(world: World, path: str, status: int) -> None:
    posting = asyncio.create_task(world.client.post(path, json={"model": "cria", "input": "x", "prompt": "x"}))
    request = await world.running()
    send(world, request, {}, pb.Finished(reason=pb.FINISH_REASON_ERROR, error="out of luck"))
    reply = await posting
    assert reply.status_code == status
    assert "out of luck" in reply.text


@pytest.mark.parametrize("path", [NATIVE, OLD, OPENAI])
async def test_an_input_that_the_worker_finds_too_long_is_the_clients_fault(world: World, path: str) -> None:
    posting = asyncio.create_task(world.client.post(path, json={"model": "cria", "input": "x", "prompt": "x"}))
    request = await world.running()
    send(world, request, {}, pb.Finished(reason=pb.FINISH_REASON_ERROR, error="6 tokens fit", invalid=True))
    reply = await posting
    assert reply.status_code == 400
    assert "the input length exceeds the context length" in reply.text


@pytest.mark.parametrize("vector", [[1, float("nan")], [float("inf"), 1]])
async def test_what_is_no_number_is_an_error(world: World, vector: list[float]) -> None:
    reply = await answered(world, NATIVE, {"input": ["a", "b"]}, {0: [1, 0], 1: vector})
    assert (reply.status_code, reply.json()) == (400, {"error": "embedding contains NaN or Inf values"})


async def test_a_long_text_is_cut_to_the_context(world: World) -> None:
    body = {"model": "cria", "input": ["horse " * 50, "a"], "options": {"num_ctx": 8}}
    posting = asyncio.create_task(world.client.post(NATIVE, json=body))
    request = await world.running()
    assert len(inputs_of(request)[0]) == 8
    assert len(inputs_of(request)[1]) < 8
    send(world, request, {0: [1], 1: [1]}, done(11))
    assert (await posting).status_code == 200


async def test_a_model_that_pools_a_whole_input_takes_what_fits_into_a_batch(private_folder: Path) -> None:
    bundle = type(BUNDLE)()
    bundle.CopyFrom(BUNDLE)
    bundle.pooling_type, bundle.capabilities[:] = 1, ["embedding"]
    async with world_in(private_folder, bundle) as world:
        body = {"model": "cria", "input": "horse " * 50, "options": {"num_batch": 6}}
        posting = asyncio.create_task(world.client.post(NATIVE, json=body))
        request = await world.running()
        assert len(inputs_of(request)[0]) == 6
        send(world, request, {0: [1]}, done(6))
        assert (await posting).status_code == 200


async def test_a_long_list_goes_to_the_worker_in_groups(private_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMUDA_EMBEDDING_GROUP", "8")
    async with world_in(private_folder) as world:
        posting = asyncio.create_task(world.client.post(NATIVE, json={"model": "cria", "input": ["a"] * 7}))
        sent = 0
        while sent < 7:
            request = await world.running()
            count = len(inputs_of(request))
            assert sum(map(len, inputs_of(request))) <= 8
            send(world, request, {index: [sent + index, 1000] for index in range(count)}, done(count))
            world.scheduler.events.put_nowait(FINISHED)
            sent += count
        reply = (await posting).json()
    assert reply["prompt_eval_count"] == 7
    firsts = [vector[0] for vector in reply["embeddings"]]
    assert firsts == sorted(firsts)
    assert len(set(firsts)) == 7


async def test_a_client_that_leaves_cancels_its_request(world: World) -> None:
    call = Call(world.app, NATIVE, {"model": "cria", "input": ["a", "b"]})
    running = asyncio.create_task(call.run())
    request = await world.running()
    send(world, request, {0: [1]})
    call.left.set()
    assert await world.scheduler.cancelled.get() == request.request_id
    await running
    assert call.status == 0
