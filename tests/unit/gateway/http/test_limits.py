"""Limits: what one request may take from all others."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from structlog.testing import capture_logs
from support.gateway_world import BUNDLE, STOP, Call, World, world_in

from gateway.errors import GatewayError
from gateway.generation.options import ContextBounds, resolve_options
from gateway.generation.record import RequestRecord
from gateway.links.model_names import MAX_NAME, local_name
from gateway.prompt.templates.go_syntax import parse_go
from gateway.prompt.vocabulary.vocabulary import Vocabulary
from remuda.v1 import store_pb2

GENERATE = {"model": "cria", "prompt": "hi", "stream": False}
ZSTD = {"Content-Encoding": "zstd"}


@pytest.fixture
async def world(private_folder: Path) -> AsyncGenerator[World]:
    async with world_in(private_folder) as world:
        yield world


async def test_a_client_that_does_not_read_is_given_up(private_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMUDA_MAX_UNREAD", "1000")
    async with world_in(private_folder) as world:
        call = Call(world.app, "/api/generate", {"model": "cria", "prompt": "hi"}, reads=asyncio.Event())
        running = asyncio.create_task(call.run())
        request = await world.running()
        with capture_logs() as lines:
            world.push(request, "first")
            assert (await call.chunk())["response"] == "first"
            for _ in range(200):
                world.push(request, "unread")
            assert await world.scheduler.cancelled.get() == request.request_id
            await running
    (line,) = (line for line in lines if line["event"] == "request")
    assert (line["outcome"], line["error"]) == ("cancelled", "the client does not read its reply")


async def test_a_reply_that_is_read_as_it_comes_has_no_limit(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMUDA_MAX_UNREAD", "1000")
    async with world_in(private_folder) as world:
        call = Call(world.app, "/api/generate", {"model": "cria", "prompt": "hi"})
        running = asyncio.create_task(call.run())
        request = await world.running()
        for number in range(200):
            world.push(request, str(number))
            assert (await call.chunk())["response"] == str(number)
        world.push(request, "", finished=STOP)
        await running


def test_a_name_that_is_too_long_is_refused_whatever_its_suffixes() -> None:
    suffixes = ":local" * (MAX_NAME // len(":local"))
    assert local_name(suffixes) == ""
    with pytest.raises(GatewayError, match=r"^invalid model name$"):
        local_name("a" * 7 + suffixes)


async def test_every_route_refuses_a_name_that_is_too_long(world: World) -> None:
    name = "a" * (MAX_NAME + 1)
    for path in ("/api/generate", "/api/chat", "/api/show", "/api/embed"):
        body = {"model": name, "prompt": "x", "input": "x", "messages": [{"role": "user", "content": "x"}]}
        reply = await world.client.post(path, json=body)
        assert (reply.status_code, reply.json()) == (400, {"error": "invalid model name"})
    reply = await world.client.get(f"/v1/models/{name}")
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, "invalid model name")


def test_a_log_line_stays_short_whatever_the_client_wrote() -> None:
    record = RequestRecord(route="GET /api/tags", model="a" * 10**6, error="b" * 10**6, outcome="error")
    assert len(str(record.fields())) < 2000


async def test_the_log_names_the_beginning_of_a_long_path(world: World) -> None:
    with capture_logs() as lines:
        await world.client.get("/" + "a" * 5000)
    assert [len(line["route"]) for line in lines if line["event"] == "request"] == [200]


def test_unknown_options_are_one_line_of_the_log() -> None:
    with capture_logs() as lines:
        resolve_options({}, {f"{number}{'x' * 100}": 1 for number in range(1000)}, ContextBounds(4096, 4096))
    (line,) = lines
    assert (line["count"], len(line["options"])) == (1000, 8)
    assert max(map(len, line["options"])) == 64


async def test_a_template_of_the_request_may_not_be_longer_than_the_limit(world: World) -> None:
    reply = await world.client.post("/api/generate", json=GENERATE | {"template": "{{ .Prompt }}" + "é" * (33 << 10)})
    assert (reply.status_code, reply.json()) == (400, {"error": "the template is longer than 65536 bytes"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/generate", GENERATE | {"options": {"stop": ["x"] * 129}}),
        ("/v1/completions", GENERATE | {"stop": ["x"] * 129}),
    ],
)
async def test_a_request_has_no_more_stop_strings_than_the_limit(world: World, path: str, body: dict[str, Any]) -> None:
    reply = await world.client.post(path, json=body)
    error = reply.json()["error"]
    assert reply.status_code == 400
    assert (error["message"] if path.startswith("/v1") else error) == "there may be 128 stop strings at most"


async def test_the_stop_strings_of_a_request_have_no_more_bytes_together_than_the_limit(world: World) -> None:
    reply = await world.client.post("/api/generate", json=GENERATE | {"options": {"stop": ["é" * 1024] * 2 + ["x"]}})
    assert (reply.status_code, reply.json()) == (400, {"error": "the stop strings may have 4096 bytes together"})


@pytest.mark.parametrize("stop", [["x"] * 128, ["é" * 1024] * 2])
async def test_stop_strings_up_to_the_limit_are_taken(world: World, stop: list[str]) -> None:
    call = asyncio.create_task(world.client.post("/api/generate", json=GENERATE | {"options": {"stop": stop}}))
    world.push(await world.running(), "a", finished=STOP)
    assert (await call).status_code == 200


async def test_a_model_has_no_more_stop_strings_than_the_limit(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMUDA_MAX_STOPS", "1")
    bundle = store_pb2.Bundle()
    bundle.CopyFrom(BUNDLE)
    bundle.params_json = '{"stop": ["a", "b"]}'
    async with world_in(private_folder, bundle) as world:
        reply = await world.client.post("/api/generate", json=GENERATE)
    assert (reply.status_code, reply.json()) == (400, {"error": "there may be 1 stop strings at most"})


def test_loops_in_loops_are_searched_once_for_thoughts() -> None:
    depth = 60  # searched again for each loop, they would never end
    loops = ("{{range .Messages}}" * depth + "{{.A}}" * 1000 + "{{end}}" * depth) * 5
    syntax = parse_go(loops + "{{range .Messages}}<t>{{.Thinking}}</t>{{end}}")
    tags = syntax.thinking_tags()
    assert tags is not None
    assert (tags.opening, tags.closing) == ("<t>", "</t>")


async def test_a_prompt_of_nothing_is_refused(world: World) -> None:
    reply = await world.client.post(
        "/api/generate", json=GENERATE | {"template": "{{ if false }}{{ .Prompt }}{{ end }}"}
    )
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("the prompt is empty")


async def test_a_long_body_with_something_after_it_is_read_like_a_short_one(world: World) -> None:
    body = b'{"model": "nope", "prompt": "%b"} and {more' % ("é".encode() * (1 << 20))
    reply = await world.client.post("/api/generate", content=body)
    assert (reply.status_code, reply.json()) == (404, {"error": "model 'nope' not found"})


@pytest.mark.parametrize(("path", "tokenised"), [("/v1/completions", 1), ("/api/generate", 2)])
async def test_only_the_native_generate_tokenises_the_reply(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str, tokenised: int
) -> None:
    texts: list[str] = []
    tokenize = Vocabulary.tokenize

    async def counting(self: Vocabulary, text: str, limit: int | None = None) -> list[int]:
        texts.append(text)
        return await tokenize(self, text, limit)

    monkeypatch.setattr(Vocabulary, "tokenize", counting)
    call = asyncio.create_task(world.client.post(path, json=GENERATE))
    world.push(await world.running(), "a", finished=STOP)
    assert (await call).status_code == 200
    assert len(texts) == tokenised


@pytest.mark.parametrize("compress", [zstd.compress, lambda body: zstd.compress(body[:9]) + zstd.compress(body[9:])])
async def test_a_body_in_zstd_is_read(world: World, compress: Callable[[bytes], bytes]) -> None:
    body = json.dumps({"model": "cria", "messages": [{"role": "user", "content": "hi"}]}).encode()
    call = asyncio.create_task(world.client.post("/v1/chat/completions", content=compress(body), headers=ZSTD))
    world.push(await world.running(), "hello", finished=STOP)
    assert (await call).json()["choices"][0]["message"]["content"] == "hello"


NOT_ZSTD, CUT, LARGE = b"{}", zstd.compress(b"{}" * 1000)[:-5], zstd.compress(b" " * (21 << 20))
WIDE = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 24})
FAR_LOOKING = WIDE.compress(b"{}") + WIDE.flush()


@pytest.mark.parametrize("route", ["chat/completions", "completions", "embeddings", "responses", "messages"])
@pytest.mark.parametrize(
    ("body", "error"),
    [
        (NOT_ZSTD, "failed to decompress request body"),
        (CUT, "failed to decompress request body"),
        (LARGE, "http: request body too large"),
        (FAR_LOOKING, "failed to decompress request body"),
    ],
)
async def test_what_does_not_decompress_is_refused_in_the_native_shape(
    world: World, route: str, body: bytes, error: str
) -> None:
    reply = await world.client.post(f"/v1/{route}", content=body, headers=ZSTD)
    assert (reply.status_code, reply.json()) == (400, {"error": error})


async def test_other_routes_know_no_compression(world: World) -> None:
    reply = await world.client.post("/api/generate", json={"model": "nope", "prompt": "x"}, headers=ZSTD)
    assert reply.status_code == 404
