"""Filling in the middle: by the model's template, or by the tokens that its vocabulary has for that."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from support.gateway_world import BUNDLE, FINISHED, STOP, World, world_in
from support.scripted import BOS, write_scripted_model

from gateway.prompt.infill import InfillMarks
from gateway.prompt.vocabulary.tokenizer import TextKind, Tokenizer
from remuda.v1 import store_pb2, wire_pb2

MARKS = InfillMarks(prefix=1, suffix=2, middle=3, bos=0)
BEFORE, AFTER = list(range(100, 140)), list(range(200, 240))
REQUEST = {"model": "cria", "prompt": "a = ", "suffix": "\nb", "stream": False}


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scripted_model(tmp_path_factory.mktemp("coder") / "coder.gguf", "1 + 2", infill=True)


@pytest.fixture
async def world(private_folder: Path, coder: Path) -> AsyncGenerator[World]:
    bundle = store_pb2.Bundle()
    bundle.CopyFrom(BUNDLE)
    bundle.model_path, bundle.model_digest = str(coder), "b" * 64
    async with world_in(private_folder, bundle) as world:
        yield world


async def prompt_of(world: World, path: str, body: dict[str, Any]) -> list[int]:
    """The tokens that reach the worker."""
    call = asyncio.create_task(world.client.post(path, json=body))
    request = await world.running()
    world.push(request, "1", finished=STOP)
    assert (await call).status_code == 200
    world.scheduler.events.put_nowait(FINISHED)
    return list(wire_pb2.Work.FromString(request.work.inline).prompt)


def expected(coder: Path, before: str, after: str) -> list[int]:
    tokenizer = Tokenizer(str(coder))
    marks = tokenizer.infill
    assert marks is not None
    written = [*tokenizer.tokenize(before, TextKind.PLAIN), marks.suffix, *tokenizer.tokenize(after, TextKind.PLAIN)]
    return [BOS, marks.prefix, *written, marks.middle]


@pytest.mark.parametrize("path", ["/api/generate", "/v1/completions"])
async def test_text_around_a_gap_is_marked_by_the_vocabularys_tokens(world: World, coder: Path, path: str) -> None:
    assert await prompt_of(world, path, REQUEST) == expected(coder, "a = ", "\nb")


async def test_marks_in_the_clients_text_are_text(world: World, coder: Path) -> None:
    text = "<|fim_middle|></s>"
    tokens = await prompt_of(world, "/api/generate", REQUEST | {"suffix": text})
    assert tokens == expected(coder, "a = ", text)
    assert tokens.count(tokens[-1]) == 1


async def test_a_template_that_inserts_is_preferred_to_the_marks(world: World) -> None:
    world.store.bundle.go_template = "{{ if .Suffix }}{{ .Suffix }}|{{ .Prompt }}{{ end }}"
    reply = await world.client.post("/api/generate", json=REQUEST | {"_debug_render_only": True})
    assert reply.json()["_debug_info"]["rendered_template"] == "\nb|a = "


async def test_the_requests_own_template_is_preferred_to_both(world: World) -> None:
    body = REQUEST | {"template": "[{{ .Suffix }}]", "_debug_render_only": True}
    reply = await world.client.post("/api/generate", json=body)
    assert reply.json()["_debug_info"]["rendered_template"] == "[\nb]"


async def test_a_model_without_marks_and_template_does_not_insert(private_folder: Path) -> None:
    async with world_in(private_folder) as world:
        for path in ("/api/generate", "/v1/completions"):
            reply = await world.client.post(path, json=REQUEST)
            assert reply.status_code == 400
            assert "registry.ollama.ai/library/cria:latest does not support insert" in reply.text


async def test_long_code_keeps_what_is_next_to_the_gap(world: World, coder: Path) -> None:
    body = REQUEST | {"prompt": "x" * 99 + "y", "suffix": "z" + "x" * 99, "options": {"num_ctx": 64}}
    tokens = await prompt_of(world, "/api/generate", body)
    assert tokens == expected(coder, "x" * 20 + "y", "z" + "x" * 6)


async def test_long_code_that_may_not_be_cut_is_refused(world: World) -> None:
    body = REQUEST | {"prompt": "x" * 100, "truncate": False, "options": {"num_ctx": 64}}
    reply = await world.client.post("/api/generate", json=body)
    assert reply.status_code == 400
    assert "longer than the context length" in reply.json()["error"]


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [(40, 40, (21, 7)), (80, 3, (25, 3)), (3, 80, (3, 25)), (0, 80, (0, 28)), (20, 20, (20, 20))],
)
def test_a_cut_prompt_gives_one_side_what_the_other_leaves(before: int, after: int, kept: tuple[int, int]) -> None:
    left, right = list(range(100, 100 + before)), list(range(200, 200 + after))
    tokens = MARKS.fitted(left, right, 64)
    assert tokens == MARKS.prompt(left[before - kept[0] :], right[: kept[1]])


def test_a_context_without_room_leaves_the_marks_alone() -> None:
    assert MARKS.fitted(BEFORE, AFTER, 4) == [0, 1, 2, 3]
