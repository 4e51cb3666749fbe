"""The `/v1` routes in process: their bytes, and OpenAI's own client on them."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI

from gateway.errors import ErrorKind, GatewayError, internal, not_found, overloaded, unavailable
from gateway.generation.connection import ClientConnection
from gateway.generation.events import Delta, Done, Event
from gateway.generation.record import RequestRecord
from gateway.generation.request import Generation, ToolCall
from gateway.http.body_budget import BodyBudget, BoundedBodies
from gateway.http.dialect import install_error_handlers
from gateway.http.pace import Pace
from gateway.openai.routes import openai_router
from remuda.threads import Threads
from remuda.v1 import store_pb2 as pb

BASE = "http://localhost/v1"
CHAT = {"model": "cria", "messages": [{"role": "user", "content": "hi"}]}
TEXT = {"model": "cria", "prompt": "p"}
CALL = ToolCall("add", {"b": 2, "a": {"x": "<"}}, "call_1")
STOP = Done("stop", prompt_eval_count=3, eval_count=2)
HELLO = (Delta("Hel"), Delta("lo <b>"), STOP)


class Script:
    """Answers every generation with the same events; an GatewayError among them is raised at its place."""

    def __init__(self, *events: Event | GatewayError) -> None:
        self._events = events

    async def events(
        self, generation: Generation, connection: ClientConnection, record: RequestRecord
    ) -> AsyncIterator[Event]:
        for event in self._events:
            if isinstance(event, GatewayError):
                raise event
            yield event


class Shelf:
    """Installed models."""

    def __init__(self, *models: pb.ModelSummary) -> None:
        self._models = models

    async def models(self) -> list[pb.ModelSummary]:
        return list(self._models)

    async def show(self, name: str, *, verbose: bool) -> pb.ShowReply:
        for model in self._models:
            if model.name == name:
                full_name = f"registry.ollama.ai/{model.namespace}/{model.name}"
                return pb.ShowReply(bundle=pb.Bundle(full_name=full_name), modified_at_ns=model.modified_at_ns)
        raise not_found(f"model '{name}' not found")


MODEL = pb.ModelSummary(name="cria:latest", modified_at_ns=1_700_000_000_999_999_999, namespace="library")


def surface(*events: Event | GatewayError, models: Sequence[pb.ModelSummary] = (MODEL,)) -> httpx.AsyncClient:
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(openai_router(Script(*events), Shelf(*models), max_body=1 << 20, max_prompts=3))
    threads = Threads("bodies", 1, 0, overloaded)
    bounded = BoundedBodies(app, Pace(least=1, period_s=10), BodyBudget(1 << 20), threads)
    return httpx.AsyncClient(transport=httpx.ASGITransport(bounded), base_url=BASE)


async def post(path: str, body: dict[str, Any], *events: Event | GatewayError) -> httpx.Response:
    async with surface(*events) as client:
        return await client.post(path, json=body)


async def stream(path: str, body: dict[str, Any], *events: Event | GatewayError) -> list[Any]:
    """The events of a stream; the end marker as text."""
    reply = await post(path, {**body, "stream": True}, *events)
    assert reply.headers["content-type"] == "text/event-stream"
    *lines, rest = reply.text.split("\n\n")
    assert rest == ""
    texts = [line.removeprefix("data: ") for line in lines]
    return [text if text == "[DONE]" else json.loads(text) for text in texts]


def deltas(chunks: list[Any]) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk != "[DONE]" and chunk["choices"]]


async def test_a_whole_chat_has_ollamas_fields_in_their_order() -> None:
    reply = await post("/chat/completions", CHAT, *HELLO)
    assert reply.headers["content-type"] == "application/json"
    expected = (
        r'\{"id":"chatcmpl-\d{1,3}","object":"chat.completion","created":\d+,"model":"cria",'
        r'"system_fingerprint":"fp_ollama","choices":\[\{"index":0,"message":\{"role":"assistant",'
        r'"content":"Hello \\u003cb\\u003e"\},"finish_reason":"stop"\}\],'
        r'"usage":\{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5\}\}'
    )
    assert re.fullmatch(expected, reply.text)


async def test_a_whole_chat_tells_thoughts_and_calls() -> None:
    reply = await post("/chat/completions", CHAT, Delta(thinking="hm"), Delta(tool_calls=(CALL,)), STOP)
    (choice,) = reply.json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert list(choice["message"]) == ["role", "content", "reasoning", "tool_calls"]
    function = {"name": "add", "arguments": '{"b":2,"a":{"x":"\\u003c"}}'}
    assert choice["message"]["tool_calls"] == [{"id": "call_1", "index": 0, "type": "function", "function": function}]


async def test_a_reply_cut_by_length_says_so_even_with_calls() -> None:
    reply = await post("/chat/completions", CHAT, Delta(tool_calls=(CALL,)), Done("length"))
    assert reply.json()["choices"][0]["finish_reason"] == "length"


async def test_a_streamed_chat_is_framed_as_ollama_does() -> None:
    reply = await post("/chat/completions", CHAT | {"stream": True}, *HELLO)
    head = r'data: \{"id":"(chatcmpl-\d{1,3})","object":"chat.completion.chunk","created":(\d+),"model":"cria",'
    head += r'"system_fingerprint":"fp_ollama","choices":\[\{"index":0,"delta":'
    again = head.replace(r"(chatcmpl-\d{1,3})", r"\1").replace(r"(\d+)", r"\2")
    expected = (
        head
        + r'\{"role":"assistant","content":"Hel"\},"finish_reason":null\}\]\}\n\n'
        + again
        + r'\{"content":"lo \\u003cb\\u003e"\},"finish_reason":null\}\]\}\n\n'
        + again
        + r'\{\},"finish_reason":"stop"\}\]\}\n\ndata: \[DONE\]\n\n'
    )
    assert re.fullmatch(expected, reply.text)


async def test_usage_comes_last_and_only_when_asked_for() -> None:
    body = CHAT | {"stream_options": {"include_usage": True}}
    *chunks, last, end = await stream("/chat/completions", body, *HELLO)
    assert end == "[DONE]"
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert not any("usage" in chunk for chunk in chunks)


async def test_thoughts_are_chunks_of_their_own() -> None:
    chunks = await stream("/chat/completions", CHAT, Delta(thinking="a"), Delta("c", thinking="b"), Delta("d"), STOP)
    assert deltas(chunks) == [
        {"role": "assistant", "content": "", "reasoning": "a"},
        {"reasoning": "b"},
        {"content": "c"},
        {"content": "d"},
        {},
    ]


@pytest.mark.parametrize(
    "events", [(Delta("x"), Delta(tool_calls=(CALL,)), STOP), (Delta("x"), Done("stop", tool_calls=(CALL,)))]
)
async def test_calls_are_streamed_whole_wherever_they_come_from(events: tuple[Event, ...]) -> None:
    chunks = await stream("/chat/completions", CHAT, *events)
    first, second, last = deltas(chunks)
    assert (first["content"], second["content"], last) == ("x", "", {})
    assert second["tool_calls"][0]["function"]["name"] == "add"
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_an_empty_reply_still_has_a_role() -> None:
    chunks = await stream("/chat/completions", CHAT, STOP)
    assert deltas(chunks) == [{"role": "assistant", "content": ""}, {}]


@pytest.mark.parametrize(
    ("path", "body"), [("/chat/completions", CHAT), ("/completions", {"model": "c", "prompt": "p"})]
)
async def test_a_failure_in_a_stream_is_a_blank_chunk_with_the_error_and_no_end_marker(
    path: str, body: dict[str, Any]
) -> None:
    chunks = await stream(path, body, Delta("x"), internal("the worker died"))
    assert len(chunks) == 2
    assert chunks[-1]["model"] == ""
    assert chunks[-1]["error"] == {"message": "the worker died", "type": "api_error", "param": None, "code": None}


async def test_a_whole_completion_drops_thoughts() -> None:
    body = {"model": "cria", "prompt": "p", "logprobs": 2}
    reply = await post("/completions", body, Delta(thinking="hm"), *HELLO)
    expected = (
        r'\{"id":"cmpl-\d{1,3}","object":"text_completion","created":\d+,"model":"cria",'
        r'"system_fingerprint":"fp_ollama","choices":\[\{"text":"Hello \\u003cb\\u003e","index":0,'
        r'"finish_reason":"stop"\}\],'
        r'"usage":\{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5\}\}'
    )
    assert re.fullmatch(expected, reply.text)


async def test_a_streamed_completion_has_choices_before_the_model() -> None:
    chunks = await stream("/completions", TEXT, *HELLO)
    assert chunks[-1] == "[DONE]"
    assert list(chunks[0]) == ["id", "object", "created", "choices", "model", "system_fingerprint"]
    assert [chunk["choices"][0] for chunk in chunks[:-1]] == [
        {"text": "Hel", "index": 0, "finish_reason": None},
        {"text": "lo <b>", "index": 0, "finish_reason": None},
        {"text": "", "index": 0, "finish_reason": "stop"},
    ]


async def test_a_streamed_completion_with_usage_has_zeros_in_every_chunk_before() -> None:
    body = {"model": "cria", "prompt": "p", "stream_options": {"include_usage": True}}
    chunks = await stream("/completions", body, *HELLO)
    totals = [chunk["usage"]["total_tokens"] for chunk in chunks[:-1]]
    assert totals == [0, 0, 0, 5]
    assert chunks[-2]["choices"] == []


async def test_each_of_several_prompts_is_a_choice_of_a_whole_completion() -> None:
    reply = await post("/completions", TEXT | {"prompt": ["p", [1, 2]]}, *HELLO)
    choice = {"text": "Hello <b>", "finish_reason": "stop"}
    assert reply.json()["choices"] == [choice | {"index": 0}, choice | {"index": 1}]
    assert reply.json()["usage"] == {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}


async def test_each_of_several_prompts_is_a_choice_of_a_streamed_completion() -> None:
    body = TEXT | {"prompt": ["p", "q"], "stream_options": {"include_usage": True}}
    *chunks, usage, end = await stream("/completions", body, *HELLO)
    for index in (0, 1):
        own = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == index]
        assert [(one["text"], one["finish_reason"]) for one in own] == [("Hel", None), ("lo <b>", None), ("", "stop")]
    assert (usage["choices"], usage["usage"]["total_tokens"], end) == ([], 10, "[DONE]")
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_one_prompt_that_fails_fails_the_request() -> None:
    reply = await post("/completions", TEXT | {"prompt": ["p", "q"]}, Delta("x"), unavailable("no"))
    assert (reply.status_code, reply.json()["error"]["message"]) == (503, "no")


async def test_an_empty_prompt_loads_the_model() -> None:
    reply = await post("/completions", {"model": "cria"}, Done("load"))
    assert reply.json()["choices"] == [{"text": "", "index": 0, "finish_reason": "load"}]
    chunk, end = await stream("/completions", {"model": "cria"}, Done("load"))
    assert (chunk["choices"][0]["finish_reason"], end) == ("load", "[DONE]")


@pytest.mark.parametrize(
    ("kind", "status", "name"),
    [
        (ErrorKind.INVALID, 400, "invalid_request_error"),
        (ErrorKind.NOT_FOUND, 404, "not_found_error"),
        (ErrorKind.BUSY, 503, "api_error"),
        (ErrorKind.INTERNAL, 500, "api_error"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_errors_before_the_first_byte_have_openais_shape(
    kind: ErrorKind, status: int, name: str, streamed: bool
) -> None:
    reply = await post("/chat/completions", CHAT | {"stream": streamed}, GatewayError(kind, "no"))
    assert reply.status_code == status
    assert reply.json() == {"error": {"message": "no", "type": name, "param": None, "code": None}}


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", ""])
async def test_bodies_are_read_whatever_their_type(content_type: str) -> None:
    async with surface(*HELLO) as client:
        body = json.dumps(CHAT).encode()
        reply = await client.post("/chat/completions", content=body, headers={"content-type": content_type})
    assert reply.status_code == 200


@pytest.mark.parametrize(("body", "text"), [(b"", "EOF"), (b" ", "EOF"), (b"{", "unexpected EOF")])
async def test_bad_bodies_are_400(body: bytes, text: str) -> None:
    async with surface() as client:
        reply = await client.post("/chat/completions", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == text


async def test_models_are_listed_and_retrieved_in_openais_form() -> None:
    listed = {"id": "cria:latest", "object": "model", "created": 1_700_000_000, "owned_by": "library"}
    async with surface() as client:
        assert (await client.get("/models")).json() == {"object": "list", "data": [listed]}
        assert (await client.get("/models/cria:latest")).json() == listed
        missing = await client.get("/models/nobody")
    assert missing.status_code == 404
    assert missing.json()["error"]["type"] == "not_found_error"


async def test_no_models_are_null() -> None:
    async with surface(models=()) as client:
        assert (await client.get("/models")).json() == {"object": "list", "data": None}


@pytest.mark.parametrize("path", ["/audio/transcriptions", "/responses"])
async def test_what_comes_later_is_501_in_openais_shape(path: str) -> None:
    reply = await post(path, {})
    assert reply.status_code == 501
    assert reply.json()["error"]["type"] == "api_error"


async def test_openais_client_reads_whole_and_streamed_replies() -> None:
    events = (Delta("Hel"), Delta("lo"), Done("stop", prompt_eval_count=3, eval_count=2, tool_calls=(CALL,)))
    async with surface(*events) as http, openai.AsyncOpenAI(base_url=BASE, api_key="none", http_client=http) as client:
        chat: Any = {"model": "cria", "messages": [{"role": "user", "content": "hi"}]}
        whole = await client.chat.completions.create(**chat)
        assert whole.choices[0].message.content == "Hello"
        assert whole.choices[0].finish_reason == "tool_calls"
        options = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = [chunk async for chunk in await client.chat.completions.create(**chat, **options)]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == "Hello"
        assert chunks[-1].usage.total_tokens == 5
        assert [model.id async for model in client.models.list()] == ["cria:latest"]


async def test_openais_client_raises_its_own_errors() -> None:
    async with (
        surface(not_found("model 'x' not found")) as http,
        openai.AsyncOpenAI(base_url=BASE, api_key="none", http_client=http, max_retries=0) as client,
    ):
        with pytest.raises(openai.NotFoundError, match="model 'x' not found"):
            await client.completions.create(model="x", prompt="p")
