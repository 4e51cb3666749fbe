"""Images in requests: where they stand in the prompt that the worker gets, and what is refused."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from support.gateway_world import BUNDLE, CRIA, FINISHED, STOP, World, world_in

from gateway.generation.request import Message
from gateway.prompt.images import divide, with_marks
from gateway.prompt.vocabulary.tokenizer import Tokenizer
from remuda.v1 import serving_pb2 as pb
from remuda.v1 import store_pb2, wire_pb2

RED, BLUE = b"red picture", b"blue picture"
RED64, BLUE64 = (base64.b64encode(image).decode() for image in (RED, BLUE))
JINJA = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}>"
GO = "{{ range .Messages }}<{{ .Role }}>{{ if .Images }}+{{ end }}{{ .Content }}{{ end }}>"
GO_CHAT = store_pb2.ChatTemplate(language=store_pb2.TEMPLATE_LANGUAGE_GO, text=GO)
TOO_FEW = "this model is missing data required for image input"


def bundle_that_sees(**changes: Any) -> store_pb2.Bundle:
    bundle = store_pb2.Bundle(projector_paths=["/blobs/projector"], **changes)
    whole = store_pb2.Bundle()
    whole.CopyFrom(BUNDLE)
    whole.ClearField("params_json")
    whole.chat_template.text = JINJA
    whole.MergeFrom(bundle)
    return whole


@pytest.fixture
async def world(private_folder: Path) -> AsyncGenerator[World]:
    async with world_in(private_folder, bundle_that_sees()) as world:
        yield world


async def work_of(world: World, path: str, body: dict[str, Any]) -> wire_pb2.Work:
    """What reaches the worker."""
    call = asyncio.create_task(world.client.post(path, json={"model": "cria", **body}))
    request = await world.running()
    world.push(request, "", finished=STOP)
    await call
    world.scheduler.events.put_nowait(FINISHED)
    return wire_pb2.Work.FromString(request.work.inline)


def shown(work: wire_pb2.Work) -> str:
    """The prompt as text, with the images' contents in curly brackets."""
    text = Tokenizer(str(CRIA)).detokenize
    return "".join(f"{text(part.tokens)}{{{part.media.decode()}}}" for part in work.segments) + text(work.prompt)


def user(content: str, *images: str) -> dict[str, Any]:
    return {"role": "user", "content": content, "images": list(images)}


@pytest.mark.parametrize(
    ("messages", "prompt"),
    [
        ([user("what?", RED64)], "<user>what?{red picture}>"),
        ([user("both?", RED64, BLUE64)], "<user>both?{red picture}{blue picture}>"),
        ([user("one", RED64), user("other", BLUE64)], "<user>one{red picture}<user>other{blue picture}>"),
        ([user("[img-7] is text", RED64)], "<user>[img-7] is text{red picture}>"),
        ([user("[img-0] without any")], "<user>[img-0] without any>"),
    ],
)
async def test_images_follow_the_text_of_their_message_in_a_jinja_template(
    world: World, messages: list[dict[str, Any]], prompt: str
) -> None:
    assert shown(await work_of(world, "/api/chat", {"messages": messages})) == prompt


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        ({"prompt": "what?", "images": [RED64]}, "<user>+{red picture}what?>"),
        ({"prompt": "is [img] [img]?", "images": [RED64, BLUE64]}, "<user>+is {red picture} {blue picture}?>"),
        ({"prompt": "is [img]?", "images": [RED64, BLUE64]}, "<user>+{blue picture}is {red picture}?>"),
        ({"prompt": "a [img-1] b", "images": [RED64, BLUE64], "raw": True}, "a {blue picture} b"),
    ],
)
async def test_images_of_generate_take_their_places_or_the_beginning(
    private_folder: Path, body: dict[str, Any], prompt: str
) -> None:
    async with world_in(private_folder, bundle_that_sees(chat_template=GO_CHAT)) as world:
        assert shown(await work_of(world, "/api/generate", body)) == prompt


async def test_only_the_beginning_of_a_prompt_has_the_token_of_the_beginning(world: World) -> None:
    with_image = await work_of(world, "/api/chat", {"messages": [user("x", RED64), user("y", BLUE64)]})
    plain = await work_of(world, "/api/chat", {"messages": [user("x"), user("y")]})
    tokens = [token for part in with_image.segments for token in part.tokens] + list(with_image.prompt)
    assert tokens == list(plain.prompt)


async def test_openais_parts_are_messages_with_images(world: World) -> None:
    content = [
        {"type": "text", "text": "look:"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{RED64}"}},
        {"type": "input_audio", "input_audio": {"data": BLUE64, "format": "wav"}},
    ]
    body = {"messages": [{"role": "user", "content": content}]}
    work = await work_of(world, "/v1/chat/completions", body)
    assert shown(work) == "<user>look:<user>{red picture}<user>{blue picture}>"


async def test_an_image_counts_as_768_tokens_when_old_messages_are_dropped(world: World) -> None:
    talk = [user("first", RED64), user("second", BLUE64), user("last")]
    work = await work_of(world, "/api/chat", {"messages": talk, "options": {"num_ctx": 1024}})
    assert shown(work) == "<user>second{blue picture}<user>last>"


async def test_a_model_without_a_projector_refuses_images(private_folder: Path) -> None:
    async with world_in(private_folder) as world:
        for path, body, error in [
            ("/api/generate", {"prompt": "x", "images": [RED64]}, {"error": TOO_FEW}),
            ("/api/chat", {"messages": [user("x", RED64)]}, {"error": TOO_FEW}),
        ]:
            reply = await world.client.post(path, json={"model": "cria", **body})
            assert (reply.status_code, reply.json()) == (400, error)


async def test_a_prompt_cannot_end_with_an_image(world: World) -> None:
    body = {"model": "cria", "prompt": "[img-0]", "images": [RED64], "raw": True}
    reply = await world.client.post("/api/generate", json=body)
    assert reply.status_code == 400
    assert "text after it" in reply.json()["error"]


async def test_images_are_counted_as_often_as_they_are_used(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMUDA_MAX_MEDIA", str(3 * len(RED)))
    async with world_in(private_folder, bundle_that_sees()) as world:
        body = {"model": "cria", "prompt": "[img-0]" * 4 + "?", "images": [RED64], "raw": True}
        reply = await world.client.post("/api/generate", json=body)
        assert (reply.status_code, reply.json()["error"]) == (400, "the images of a prompt may have 33 bytes together")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/api/chat", {"error": "no such picture"}),
        (
            "/v1/chat/completions",
            {
                "error": {
                    "message": "no such picture",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": None,
                }
            },
        ),
    ],
)
async def test_what_the_worker_finds_at_fault_with_a_request_is_a_400(
    world: World, path: str, error: dict[str, Any]
) -> None:
    body = {"model": "cria", "messages": [{"role": "user", "content": "x"}]}
    call = asyncio.create_task(world.client.post(path, json=body))
    request = await world.running()
    world.push(request, "", finished=pb.Finished(reason=pb.FINISH_REASON_ERROR, error="no such picture", invalid=True))
    reply = await call
    assert (reply.status_code, reply.json()) == (400, error)


async def test_a_rendered_prompt_tells_how_many_images_it_has(world: World) -> None:
    body = {"model": "cria", "messages": [user("x", RED64, BLUE64)], "_debug_render_only": True}
    reply = await world.client.post("/api/chat", json=body)
    assert reply.json()["_debug_info"] == {"rendered_template": "<user>x[img-0][img-1]>", "image_count": 2}


def test_marks_count_through_the_whole_conversation() -> None:
    talk = [Message("user", "a", images=(RED, BLUE)), Message("assistant", "b"), Message("user", "c", images=(RED,))]
    assert [m.content for m in with_marks(talk, at_end=False)] == ["[img-0][img-1]a", "b", "[img-2]c"]


def test_a_text_without_marks_is_one_piece() -> None:
    assert divide("no [img-x] here [img-9]", [RED], 1) == ([], "no [img-x] here [img-9]")
