"""Log-probabilities come with the text of their tokens, in the form of each surface."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from support.gateway_world import STOP, USAGE, Call, World, world_in

from gateway.generation.logprobs import LogprobAligner
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import wire_pb2

LENGTH = pb.Finished(reason=pb.FINISH_REASON_LENGTH, usage=USAGE)
CHAT = {"model": "cria", "messages": [{"role": "user", "content": "hi"}], "logprobs": True}


def piece(text: str, *tokens: bytes, finished: pb.Finished | None = None, top: int = 0) -> wire_pb2.TokenPiece:
    """A worker's piece with the log-probabilities of some tokens."""
    picked = [wire_pb2.Logprob(token=n, piece=token, logprob=-0.5) for n, token in enumerate(tokens)]
    logprobs = [wire_pb2.TokenLogprob(picked=one, top=[one] * top) for one in picked]
    return wire_pb2.TokenPiece(text=text, tokens=range(len(tokens)), logprobs=logprobs, finished=finished)


def aligned(*pieces: wire_pb2.TokenPiece) -> list[list[bytes]]:
    """The tokens whose log-probabilities come with each piece."""
    aligner = LogprobAligner()
    return [[one.piece for one in aligner.feed(piece)] for piece in pieces]


def test_each_token_comes_with_its_text() -> None:
    assert aligned(piece("ab", b"a", b"b"), piece("c", b"c")) == [[b"a", b"b"], [b"c"]]


def test_a_token_whose_text_is_held_back_waits_for_it() -> None:
    assert aligned(piece("", b"##"), piece("##x", b"x")) == [[], [b"##", b"x"]]


def test_the_end_token_and_those_of_a_stop_string_are_not_told() -> None:
    assert aligned(piece("a", b"a"), piece("", b"", finished=STOP)) == [[b"a"], []]
    assert aligned(piece("a", b"a#"), piece("", b"##", finished=STOP)) == [[], [b"a#"]]
    assert aligned(piece("a", b"a"), piece("", b"#"), piece("", b"##", finished=STOP)) == [[b"a"], [], []]


def test_a_reply_that_was_cut_off_tells_all_of_its_tokens() -> None:
    assert aligned(piece("a", b"a"), piece("", b"\xe2", finished=LENGTH)) == [[b"a"], [b"\xe2"]]


def test_bytes_of_one_character_are_tokens_of_their_own() -> None:
    aligner = LogprobAligner()
    first, second = (one for part in (piece("", b"\xc3"), piece("é!", b"\xa9!")) for one in aligner.feed(part))
    assert (first.token, first.piece) == ("\ufffd", b"\xc3")
    assert (second.token, second.piece) == ("\ufffd!", b"\xa9!")


def test_a_probability_of_zero_is_a_number_that_json_can_tell() -> None:
    never = wire_pb2.TokenLogprob(picked=wire_pb2.Logprob(piece=b"x", logprob=float("-inf")))
    assert [one.logprob for one in LogprobAligner().feed(wire_pb2.TokenPiece(text="x", logprobs=[never]))] == [-9999.0]


@pytest.fixture
async def world(private_folder: Path) -> AsyncGenerator[World]:
    async with world_in(private_folder) as world:
        yield world


async def answered(world: World, path: str, body: dict[str, Any], *pieces: wire_pb2.TokenPiece) -> str:
    """The reply to a request whose worker sends `pieces`, one after the other."""
    call = asyncio.create_task(world.client.post(path, json=body))
    request = await world.running()
    for one in pieces:
        send(world, request, one)
    return (await call).text


def send(world: World, request: pb.SubmitRequest, one: wire_pb2.TokenPiece) -> None:
    one.request_id, one.attempt = request.request_id, request.attempt
    world.worker.send(wire_pb2.TokenFrame(pieces=[one]).SerializeToString())


THOUGHTFUL = ("<think>", b"<think>"), ("Hm", b"Hm"), ("</think>", b"</think>"), ("So", b"So")


def thoughtful() -> list[wire_pb2.TokenPiece]:
    return [*(piece(text, token, top=1) for text, token in THOUGHTFUL), piece("", b"", finished=STOP)]


async def test_chunks_without_text_tell_the_tokens_of_the_tags(world: World) -> None:
    call = Call(world.app, "/api/chat", CHAT | {"top_logprobs": 1})
    running = asyncio.create_task(call.run())
    request = await world.running()
    chunks: list[dict[str, Any]] = []
    for one in thoughtful():
        send(world, request, one)
        chunks.append(await call.chunk())
    call.left.set()
    await running
    tag = {"token": "<think>", "logprob": -0.5, "bytes": list(b"<think>")}
    assert chunks[0]["message"] == {"role": "assistant", "content": ""}
    assert chunks[0]["logprobs"] == [{**tag, "top_logprobs": [tag]}]
    assert list(chunks[0])[-2:] == ["done", "logprobs"]
    tokens = [[entry["token"] for entry in chunk.get("logprobs", [])] for chunk in chunks]
    assert tokens == [*([token.decode()] for _, token in THOUGHTFUL), []]


async def test_a_whole_reply_has_all_of_them_at_ollamas_place(world: World) -> None:
    whole = json.loads(await answered(world, "/api/chat", CHAT | {"stream": False}, *thoughtful()))
    assert [entry["token"] for entry in whole["logprobs"]] == [token.decode() for _, token in THOUGHTFUL]
    names = list(whole)
    assert names[names.index("done_reason") + 1 :][:2] == ["logprobs", "total_duration"]


async def test_generate_has_them_at_its_end(world: World) -> None:
    body = {"model": "cria", "prompt": "hi", "logprobs": True, "stream": False}
    whole = json.loads(await answered(world, "/api/generate", body, piece("x", b"x"), piece("", b"", finished=STOP)))
    assert list(whole)[-1] == "logprobs"
    assert whole["logprobs"] == [{"token": "x", "logprob": -0.5, "bytes": [120]}]


async def test_openais_form_always_lists_the_alternatives(world: World) -> None:
    body = CHAT | {"stream": True}
    pieces = piece("x", b"x"), piece("y", b"y", finished=LENGTH)
    text = await answered(world, "/v1/chat/completions", body, *pieces)
    chunks = [json.loads(line.removeprefix("data: ")) for line in text.split("\n\n") if line.startswith("data: {")]
    content = [entry for chunk in chunks for entry in chunk["choices"][0].get("logprobs", {}).get("content", [])]
    assert content == [
        {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []},
        {"token": "y", "logprob": -0.5, "bytes": [121], "top_logprobs": []},
    ]
    assert "logprobs" not in chunks[-1]["choices"][0]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [({}, None), ({"logprobs": True}, 0), ({"logprobs": True, "top_logprobs": 20}, 20), ({"top_logprobs": 5}, None)],
)
async def test_the_worker_is_asked_only_for_what_will_be_told(
    world: World, asked: dict[str, Any], wanted: int | None
) -> None:
    call = asyncio.create_task(world.client.post("/api/generate", json={"model": "cria", "prompt": "hi"} | asked))
    request = await world.running()
    work = wire_pb2.Work.FromString(request.work.inline)
    world.push(request, "x", finished=STOP)
    await call
    assert (work.logprobs if work.HasField("logprobs") else None) == wanted
