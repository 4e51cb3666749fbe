"""Bodies of all routes: whatever a client writes, it gets an answer of its API, and no failure without a text."""

import asyncio
import copy
import json
from collections.abc import Generator
from contextlib import AsyncExitStack, suppress
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import Loop, fuzzed
from support.gateway_world import FINISHED, STOP, World, world_in
from support.serving import short_folder

from gateway.errors import UNEXPECTED

TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": {"a": "b"}}}
SCHEMA = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]}
OPTIONS = {"num_ctx": 2048, "num_predict": 5, "temperature": 0.5, "stop": ["x"], "seed": 1, "logit_bias": {"1": 2}}
MESSAGES = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "hi", "images": []},
    {"role": "assistant", "content": "<think>a</think>b", "tool_calls": [CALL]},
    {"role": "tool", "content": "1", "tool_name": "f", "tool_call_id": "call_1"},
    {"role": "user", "content": [{"type": "text", "text": "go"}]},
]
BODIES: dict[str, dict[str, Any]] = {
    "/api/generate": {
        "model": "cria",
        "prompt": "hi",
        "suffix": "",
        "system": "s",
        "template": "{{ .Prompt }}",
        "format": SCHEMA,
        "context": [1, 2],
        "options": OPTIONS,
        "keep_alive": "5m",
        "stream": False,
        "raw": False,
        "think": False,
        "logprobs": True,
        "top_logprobs": 2,
        "images": [],
        "truncate": True,
        "shift": True,
    },
    "/api/chat": {
        "model": "cria",
        "messages": MESSAGES[:4],
        "tools": [TOOL],
        "format": "json",
        "options": OPTIONS,
        "stream": True,
        "think": True,
        "keep_alive": 10,
        "logprobs": False,
        "top_logprobs": 0,
    },
    "/api/embed": {"model": "cria", "input": ["a", "b"], "truncate": True, "dimensions": 4, "options": OPTIONS},
    "/api/embeddings": {"model": "cria", "prompt": "a", "keep_alive": "1h", "options": OPTIONS},
    "/api/show": {"model": "cria", "verbose": True, "system": "s"},
    "/v1/chat/completions": {
        "model": "cria",
        "messages": [*MESSAGES[:2], MESSAGES[4]],
        "tools": [TOOL],
        "tool_choice": "auto",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        "stop": ["x"],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 3,
        "temperature": 1,
        "top_p": 0.9,
        "logprobs": True,
        "top_logprobs": 3,
        "n": 1,
        "user": "u",
        "reasoning_effort": "low",
        "seed": 1,
    },
    "/v1/completions": {
        "model": "cria",
        "prompt": ["a", "b"],
        "suffix": "",
        "stream": False,
        "echo": False,
        "logprobs": 2,
        "max_tokens": 3,
        "stop": "x",
        "best_of": 1,
        "n": 1,
        "frequency_penalty": 0.5,
        "seed": 1,
    },
    "/v1/embeddings": {"model": "cria", "input": [[1, 2], [3]], "encoding_format": "base64", "dimensions": 3},
    "/v1/messages": {"model": "cria", "messages": MESSAGES[1:2], "max_tokens": 3, "system": "s"},
}

Path = tuple[str | int, ...]


def nested(depth: int) -> Any:
    value: Any = "x"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


ODD_VALUES = st.one_of(
    st.sampled_from(
        [None, True, False, 0, -1, 1 << 31, 1 << 63, 1 << 64, 10**40, 1e308, -0.0, "", "\0", "\ud800", [], {}]
    ),
    st.sampled_from(["a" * 70_000, " " * 5000, "<think>" * 500, "[img-0]" * 500, [[]] * 3000, {"": ""}, "9" * 400]),
    st.builds(nested, st.integers(1, 400)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
        max_leaves=20,
    ),
)


def paths_in(value: Any, path: Path = ()) -> list[Path]:
    """All places of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in paths_in(item, (*path, key)))]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A route and a body that was a good one before some of its values became odd."""
    route = draw(st.sampled_from(sorted(BODIES)))
    body: Any = copy.deepcopy(BODIES[route])
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from([path for path in paths_in(body) if path]))
        place = body
        for key in way:
            place = place[key]
        place[last] = copy.deepcopy(draw(ODD_VALUES))
    text = json.dumps(body).encode()
    if draw(st.integers(0, 9)) == 0:
        cut = draw(st.integers(0, len(text)))
        text = text[:cut] + draw(st.binary(max_size=8)) + text[cut + draw(st.integers(0, 3)) :]
    return route, text


async def answer_everything(world: World) -> None:
    """Plays the scheduler and a worker that says one word."""
    while True:
        world.push(await world.running(), "word", finished=STOP)
        world.scheduler.events.put_nowait(FINISHED)


@pytest.fixture(scope="module")
def world(loop: Loop) -> Generator[World]:
    stack = AsyncExitStack()
    with short_folder() as folder:
        world = loop.run(stack.enter_async_context(world_in(folder)))
        answering = asyncio.ensure_future(answer_everything(world), loop=loop.event_loop)
        yield world
        answering.cancel()
        loop.run(ended(answering))
        loop.run(stack.aclose())


async def ended(task: "asyncio.Future[None]") -> None:
    with suppress(asyncio.CancelledError):
        await task


async def answer_to(world: World, route: str, body: bytes) -> httpx.Response:
    async with asyncio.timeout(60):
        return await world.client.post(route, content=body)


@fuzzed
@given(case=bodies())
def test_every_body_gets_an_answer(loop: Loop, world: World, case: tuple[str, bytes]) -> None:
    route, body = case
    reply = loop.run(answer_to(world, route, body))
    assert UNEXPECTED not in reply.text
    assert "Traceback" not in reply.text
    if reply.status_code >= 400 and reply.headers["content-type"].startswith("application/json"):
        assert reply.json()["error"]
