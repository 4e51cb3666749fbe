"""The life of a request as its client sees it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from support.gateway_world import BUNDLE, FINISHED, QUEUED, RUNNING, STOP, USAGE, Call, World, world_in
from support.scripted import BOS, write_scripted_model

from gateway.errors import QUEUE_FULL, WORKER_STOPPED
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import store_pb2, wire_pb2

CHAT = {"model": "cria", "messages": [{"role": "user", "content": "hi"}]}
GENERATE = {"model": "cria", "prompt": "hi"}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture
async def world(private_folder: Path) -> AsyncGenerator[World]:
    async with world_in(private_folder) as world:
        yield world


async def post(world: World, path: str, body: dict[str, Any]) -> Any:
    """Starts a request; awaiting the task gives the reply."""
    return asyncio.create_task(world.client.post(path, json=body))


async def test_a_streamed_chat_is_lines_of_json_with_the_metrics_in_the_last_one(world: World) -> None:
    call = await post(world, "/api/chat", CHAT)
    request = await world.running()
    world.push(request, "Hello", " <you>")
    world.push(request, "", finished=STOP)
    reply = await call
    assert reply.headers["content-type"] == "application/x-ndjson"
    first, last = (json.loads(line) for line in reply.text.splitlines())
    assert list(first) == ["model", "created_at", "message", "done"]
    assert first["message"] == {"role": "assistant", "content": "Hello <you>"}
    assert "\\u003cyou\\u003e" in reply.text
    assert list(last)[:5] == ["model", "created_at", "message", "done", "done_reason"]
    assert (last["done"], last["done_reason"], last["message"]["content"]) == (True, "stop", "")
    assert (last["prompt_eval_count"], last["eval_count"]) == (12, 3)
    assert (last["prompt_eval_duration"], last["eval_duration"]) == (5, 7)
    assert 0 < last["load_duration"] < last["total_duration"]


async def test_a_whole_generate_joins_the_pieces_and_returns_the_context(world: World) -> None:
    call = await post(world, "/api/generate", GENERATE | {"stream": False})
    request = await world.running()
    for text in ("a", "b"):
        world.push(request, text)
    world.push(request, "c", finished=STOP)
    reply = (await call).json()
    assert (reply["response"], reply["done_reason"]) == ("abc", "stop")
    prompt = list(wire_pb2.Work.FromString(request.work.inline).prompt)
    assert reply["context"][: len(prompt)] == prompt
    assert len(reply["context"]) > len(prompt)


async def test_the_context_of_a_reply_continues_the_conversation(world: World) -> None:
    first = wire_pb2.Work.FromString((await submitted(world, GENERATE)).work.inline).prompt
    again = wire_pb2.Work.FromString((await submitted(world, GENERATE | {"context": list(first)})).work.inline).prompt
    assert list(again) == [*first, *first]


async def test_a_continued_conversation_begins_once(private_folder: Path, tmp_path: Path) -> None:
    bundle = store_pb2.Bundle()
    bundle.CopyFrom(BUNDLE)
    bundle.model_path = str(write_scripted_model(tmp_path / "script.gguf", "one"))
    bundle.chat_template.text = "{{ bos_token }}{{ messages[0].content }}"
    async with world_in(private_folder, bundle) as world:
        first = list(wire_pb2.Work.FromString((await submitted(world, GENERATE)).work.inline).prompt)
        again = wire_pb2.Work.FromString((await submitted(world, GENERATE | {"context": first})).work.inline).prompt
    assert first[0] == BOS
    assert list(again) == [*first, *first[1:]]


async def submitted(world: World, body: dict[str, Any]) -> pb.SubmitRequest:
    """What reaches the scheduler for a generate request."""
    call = await post(world, "/api/generate", body)
    request = await world.running()
    world.push(request, "", finished=STOP)
    await call
    world.scheduler.events.put_nowait(FINISHED)
    return request


@pytest.mark.parametrize("prompt", [[7, 8, 7], [[7, 8, 7]]])
async def test_a_prompt_of_token_ids_reaches_the_worker_as_it_is(world: World, prompt: Any) -> None:
    call = await post(world, "/v1/completions", {"model": "cria", "prompt": prompt})
    request = await world.running()
    world.push(request, "", finished=STOP)
    assert (await call).status_code == 200
    assert list(wire_pb2.Work.FromString(request.work.inline).prompt) == [7, 8, 7]


@pytest.mark.parametrize("token", [-1, 2048, 1 << 40])
@pytest.mark.parametrize("place", ["prompt", "context"])
async def test_token_ids_that_the_model_does_not_have_are_refused(world: World, place: str, token: int) -> None:
    path = "/v1/completions" if place == "prompt" else "/api/generate"
    reply = await world.client.post(path, json={"model": "cria", "prompt": "x", place: [1, token]})
    assert reply.status_code == 400
    assert f"{place} contains invalid tokens" in reply.text


async def test_the_tokens_of_a_reply_are_told_where_they_are_asked_for(world: World) -> None:
    call = await post(world, "/api/generate", GENERATE | {"return_tokens": True})
    request = await world.running()
    world.push(request, "a", "")
    world.push(request, "b", finished=STOP)
    *pieces, last = map(json.loads, (await call).text.splitlines())
    assert [token for piece in pieces for token in piece["tokens"]] == [1, 1, 1]
    assert "tokens" not in last


async def test_a_whole_reply_tells_all_its_tokens_or_none(world: World) -> None:
    for asked in ({"return_tokens": True}, {}):
        call = await post(world, "/api/generate", GENERATE | asked | {"stream": False})
        world.push(await world.running(), "a", "b", finished=STOP)
        assert (await call).json().get("tokens") == ([1, 1] if asked else None)
        world.scheduler.events.put_nowait(FINISHED)


async def test_options_reach_the_worker_by_precedence(world: World) -> None:
    options = {"num_ctx": 1000, "top_k": 3, "seed": 9, "num_predict": 17}
    request = await submitted(world, GENERATE | {"options": options, "keep_alive": "90s", "raw": True})
    work = wire_pb2.Work.FromString(request.work.inline)
    assert (work.sampling.top_k, work.sampling.seed, work.sampling.temperature) == (3, 9, 0.5)
    assert (work.num_predict, list(work.stop), work.num_keep, work.shift) == (17, ["###"], 4, True)
    assert (request.model.options.num_ctx, request.model.options.num_gpu) == (1000, -1)
    assert (request.keep_alive.ns, request.gateway) == (90_000_000_000, world.endpoints.tokens(0))


async def test_adapters_go_with_the_request_and_a_draft_model_with_the_replica(world: World) -> None:
    world.store.bundle = store_pb2.Bundle()
    world.store.bundle.CopyFrom(BUNDLE)
    world.store.bundle.adapter_paths.append("/a.gguf")
    world.store.bundle.draft_path = "/d.gguf"
    request = await submitted(world, GENERATE | {"options": {"draft_num_predict": 3}})
    work = wire_pb2.Work.FromString(request.work.inline)
    assert (list(work.adapter_paths), work.draft_tokens, request.model.draft_path) == (["/a.gguf"], 3, "/d.gguf")
    world.store.bundle.ClearField("adapter_paths")
    other = await submitted(world, GENERATE)
    assert other.model == request.model
    assert not wire_pb2.Work.FromString(other.work.inline).HasField("draft_tokens")


async def test_no_keep_alive_leaves_the_replicas_own(world: World) -> None:
    assert not (await submitted(world, GENERATE)).keep_alive.HasField("ns")


async def test_thoughts_and_calls_are_told_apart_from_content(world: World) -> None:
    call = await post(world, "/api/chat", CHAT | {"tools": TOOLS, "stream": False})
    request = await world.running()
    world.push(request, "<think>hm", "m</think>", "Well.")
    world.push(request, '<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>', finished=STOP)
    message = (await call).json()["message"]
    assert (message["thinking"], message["content"]) == ("hmm", "Well.")
    assert message["tool_calls"][0]["function"] == {"index": 0, "name": "f", "arguments": {"x": 1}}


async def test_a_broken_call_is_an_error_line(world: World) -> None:
    call = await post(world, "/api/chat", CHAT | {"tools": TOOLS})
    request = await world.running()
    world.push(request, "Well.")
    world.push(request, '<tool_call>{"name": "f", "argu', finished=STOP)
    lines = (await call).text.splitlines()
    assert json.loads(lines[-1]) == {"error": 'the model returned invalid tool call arguments for "f"'}


async def test_generate_keeps_the_tags_of_a_jinja_model(world: World) -> None:
    call = await post(world, "/api/generate", GENERATE | {"stream": False})
    world.push(await world.running(), "<think>a</think>b", finished=STOP)
    assert (await call).json()["response"] == "<think>a</think>b"


@pytest.mark.parametrize(
    ("rejected", "status", "text"),
    [
        (pb.Rejected(code=pb.Rejected.CODE_QUEUE_FULL, message="x"), 503, QUEUE_FULL),
        (pb.Rejected(code=pb.Rejected.CODE_LOAD_FAILED, message="bad tensor"), 500, "bad tensor"),
    ],
)
async def test_a_refusal_has_a_status_and_a_text(world: World, rejected: pb.Rejected, status: int, text: str) -> None:
    call = await post(world, "/api/generate", GENERATE)
    world.scheduler.events.put_nowait(pb.RequestEvent(rejected=rejected))
    reply = await call
    assert (reply.status_code, reply.json()) == (status, {"error": text})


async def test_a_request_that_loses_three_workers_is_a_500(world: World) -> None:
    call = await post(world, "/api/generate", GENERATE)
    for _ in range(3):
        await world.running()
        world.scheduler.events.put_nowait(pb.RequestEvent(lost=pb.Lost(message="signal SIGKILL")))
    reply = await call
    assert (reply.status_code, reply.json()) == (500, {"error": WORKER_STOPPED})


async def test_a_lost_worker_is_an_error_line_after_the_first_byte(world: World) -> None:
    call = Call(world.app, "/api/generate", GENERATE)
    running = asyncio.create_task(call.run())
    world.push(await world.running(), "some")
    assert (await call.chunk())["response"] == "some"
    world.scheduler.events.put_nowait(pb.RequestEvent(lost=pb.Lost()))
    assert await call.chunk() == {"error": WORKER_STOPPED}
    await running
    assert call.status == 200


async def test_a_request_that_failed_alone_tells_why(world: World) -> None:
    call = await post(world, "/api/generate", GENERATE)
    failed = pb.Finished(reason=pb.FINISH_REASON_ERROR, usage=USAGE, error="decode failed")
    world.push(await world.running(), "", finished=failed)
    assert (await call).json() == {"error": "decode failed"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("state", ["submitted", "queued", "running", "writing"])
async def test_a_client_that_leaves_cancels_its_request_in_any_state(world: World, state: str, *, stream: bool) -> None:
    call = Call(world.app, "/api/chat", CHAT | {"stream": stream})
    running = asyncio.create_task(call.run())
    request = await world.scheduler.submitted.get()
    if state != "submitted":
        world.scheduler.events.put_nowait(QUEUED if state == "queued" else RUNNING)
    if state == "writing":
        world.push(request, "some")
        if stream:
            await call.chunk()
    call.left.set()
    assert await world.scheduler.cancelled.get() == request.request_id
    await running


async def test_a_client_that_leaves_cancels_all_its_choices(world: World) -> None:
    call = Call(world.app, "/v1/completions", {"model": "cria", "prompt": ["a", "b"], "stream": True})
    running = asyncio.create_task(call.run())
    requests = [await world.running() for _ in range(2)]
    world.push(requests[1], "some")
    assert b'"index":' in await call.chunks.get()
    call.left.set()
    cancelled = {await world.scheduler.cancelled.get() for _ in range(2)}
    assert cancelled == {request.request_id for request in requests}
    await running


async def test_a_gateway_that_stops_tells_its_streams(world: World) -> None:
    call = Call(world.app, "/api/chat", CHAT)
    running = asyncio.create_task(call.run())
    world.push(request := await world.running(), "some")
    await call.chunk()
    running.cancel()
    assert await call.chunk() == {"error": "the server is shutting down"}
    assert await world.scheduler.cancelled.get() == request.request_id
    await running


async def test_pieces_that_wait_together_are_one_chunk(world: World) -> None:
    call = await post(world, "/api/chat", CHAT)
    request = await world.running()
    world.push(request, *"abcdefgh", finished=STOP)
    lines = [json.loads(line) for line in (await call).text.splitlines()]
    assert [line["message"]["content"] for line in lines] == ["abcdefgh", ""]


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/api/generate", {"model": "nope", "prompt": "x"}, 404, "model 'nope' not found"),
        ("/api/generate", {"prompt": "x"}, 404, "model '' not found"),
        ("/api/chat", {"messages": []}, 400, "model is required"),
        ("/api/chat", {**CHAT, "model": "x:cloud"}, 403, "ollama cloud is disabled: remote model is unavailable"),
        ("/api/chat", {**CHAT, "top_logprobs": 21}, 400, "top_logprobs must be between 0 and 20"),
        ("/api/chat", {**CHAT, "options": {"stop": "x"}}, 500, 'option "stop" must be of type array'),
        ("/api/chat", {**CHAT, "format": {"type": "x"}}, 400, "invalid JSON schema in format: Invalid type: x"),
        ("/api/generate", {**GENERATE, "grammar": "root ::= b"}, 400, "invalid grammar: Rule 'b' not found"),
        ("/api/chat", {**CHAT, "grammar": "x", "format": "json"}, 400, "grammar and format cannot be combined"),
        (
            "/api/generate",
            {**GENERATE, "format": "yaml"},
            500,
            'invalid format: "\\"yaml\\""; expected "json" or a valid JSON Schema object',
        ),
        (
            "/api/generate",
            {**GENERATE, "suffix": "x"},
            400,
            "registry.ollama.ai/library/cria:latest does not support insert",
        ),
        (
            "/api/generate",
            {**GENERATE, "raw": True, "system": "x"},
            400,
            "raw mode does not support template, system, or context",
        ),
        ("/api/pull", {"model": "x"}, 501, "pulling models is not implemented yet"),
    ],
)
async def test_errors_have_ollamas_status_and_text(
    world: World, path: str, body: dict[str, Any], status: int, text: str
) -> None:
    reply = await world.client.post(path, json=body)
    assert (reply.status_code, reply.json()) == (status, {"error": text})


async def test_a_model_without_an_ability_says_so(world: World) -> None:
    world.store.bundle = store_pb2.Bundle()
    world.store.bundle.CopyFrom(BUNDLE)
    world.store.bundle.capabilities[:] = ["completion"]
    thinking = await world.client.post("/api/chat", json={**CHAT, "think": True})
    assert (thinking.status_code, thinking.json()) == (400, {"error": '"cria" does not support thinking'})
    tools = await world.client.post("/api/chat", json={**CHAT, "tools": TOOLS})
    assert tools.json() == {"error": "registry.ollama.ai/library/cria:latest does not support tools"}


async def test_a_chat_that_does_not_fit_is_refused_but_old_messages_go_first(world: World) -> None:
    options = {"num_ctx": 64}
    old = [{"role": "user", "content": "old words " * 100}, {"role": "user", "content": "new"}]
    call = await post(world, "/api/chat", {**CHAT, "messages": old, "options": options, "stream": False})
    request = await world.running()
    assert len(wire_pb2.Work.FromString(request.work.inline).prompt) < 64
    world.push(request, "", finished=STOP)
    assert (await call).status_code == 200
    reply = await world.client.post("/api/chat", json={**CHAT, "messages": old[:1], "options": options})
    assert reply.status_code == 400
    assert "longer than the context length" in reply.json()["error"]


async def test_a_long_generate_loses_its_middle(world: World) -> None:
    body = {**GENERATE, "prompt": "old words " * 100, "options": {"num_ctx": 64}}
    assert len(wire_pb2.Work.FromString((await submitted(world, body)).work.inline).prompt) == 64 - (64 - 4) // 2


GO_TEMPLATE = (
    "{{ range .Tools }}{{ .Function.Name }}{{ end }}{{ range .Messages }}[{{ .Role }}]{{ if .Thinking }}<think>"
    "{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ if .ToolCalls }}[CALLS]{{ end }}{{ end }}"
)


async def test_a_go_template_model_calls_while_it_streams(world: World) -> None:
    world.store.bundle = store_pb2.Bundle()
    world.store.bundle.CopyFrom(BUNDLE)
    template = store_pb2.ChatTemplate(language=store_pb2.TEMPLATE_LANGUAGE_GO, text=GO_TEMPLATE)
    world.store.bundle.chat_template.CopyFrom(template)
    rendered = await world.client.post("/api/chat", json={**CHAT, "tools": TOOLS, "_debug_render_only": True})
    assert rendered.json()["_debug_info"]["rendered_template"] == "f[user]hi"
    call = await post(world, "/api/chat", {**CHAT, "tools": TOOLS})
    request = await world.running()
    world.push(request, '<think>hm</think>Well[CALLS]f{"x": 1}')
    world.push(request, " ignored", finished=STOP)
    first, last = (json.loads(line) for line in (await call).text.splitlines())
    message = first["message"]
    assert (message["thinking"], message["content"]) == ("hm", "Well")
    assert message["tool_calls"][0]["function"] == {"index": 0, "name": "f", "arguments": {"x": 1}}
    assert (first["done"], last["done"], "tool_calls" in last["message"]) == (False, True, False)


async def test_an_unexpected_failure_tells_the_client_nothing_about_itself(world: World) -> None:
    world.store.bundle = store_pb2.Bundle()
    world.store.bundle.CopyFrom(BUNDLE)
    world.store.bundle.params_json = "{broken"
    call = Call(world.app, "/api/chat", CHAT)
    await call.run()
    assert (call.status, await call.chunk()) == (500, {"error": "internal server error"})


async def test_tool_syntax_that_is_not_understood_is_refused(world: World) -> None:
    world.store.bundle = store_pb2.Bundle()
    world.store.bundle.CopyFrom(BUNDLE)
    world.store.bundle.chat_template.text = "{{ tools }}{{ messages }}"
    reply = await world.client.post("/api/chat", json={**CHAT, "tools": TOOLS})
    assert (reply.status_code, reply.json()) == (
        501,
        {"error": "the tool call syntax of this model is not implemented yet"},
    )


@pytest.mark.parametrize(("body", "reason"), [({}, "load"), ({"keep_alive": 0}, "unload")])
async def test_load_and_unload_are_single_objects_even_where_a_stream_was_asked_for(
    world: World, body: dict[str, Any], reason: str
) -> None:
    reply = await world.client.post("/api/generate", json={"model": "cria", **body})
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    del (shown := reply.json())["created_at"]
    assert shown == {"model": "cria", "response": "", "done": True, "done_reason": reason}
    assert world.scheduler.unloaded == ([BUNDLE.model_path] if reason == "unload" else [])


async def test_a_rendered_prompt_can_be_looked_at(world: World) -> None:
    reply = await world.client.post("/api/chat", json={**CHAT, "_debug_render_only": True, "think": False})
    rendered = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert reply.json()["_debug_info"] == {"rendered_template": rendered}


async def test_the_store_may_be_away_for_a_model_that_was_served(world: World) -> None:
    await submitted(world, GENERATE)
    await world.store_server.stop(None)
    assert (await submitted(world, GENERATE)).model.name == "cria:latest"
