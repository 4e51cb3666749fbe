"""An operator can keep clients from loading one model again and again with options of their own."""

from collections.abc import Generator
from typing import Any

import httpx
import pytest
from support.serving import Server, running_server, short_folder


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    ignored = "num_ctx,keep_alive"
    with short_folder() as folder, running_server(folder, REMUDA_IGNORED_OPTIONS=ignored) as server:
        yield server


def call(server: Server, path: str, **fields: Any) -> None:
    reply = httpx.post(f"{server.url}{path}", json={"model": "cria", "stream": False} | fields, timeout=60)
    assert reply.status_code == 200


def worker(server: Server) -> int:
    return server.processes()["remuda worker cria:latest cpu"]


def test_ignored_options_neither_reload_nor_unload_a_model(server: Server) -> None:
    call(server, "/api/generate")
    first = worker(server)
    for num_ctx in (512, 1024):
        options = {"num_ctx": num_ctx, "num_predict": 1}
        call(server, "/api/generate", prompt="Hello!", options=options, keep_alive=0)
        call(server, "/api/embed", input="Hello!", options=options, keep_alive=0)
    assert worker(server) == first
    (model,) = httpx.get(f"{server.url}/api/ps").json()["models"]
    assert model["context_length"] == 4096


def test_other_options_still_have_their_effect(server: Server) -> None:
    body = {"model": "cria", "prompt": "Hello!", "raw": True, "stream": False, "options": {"num_predict": 3}}
    assert httpx.post(f"{server.url}/api/generate", json=body, timeout=60).json()["eval_count"] == 3


def test_a_model_can_still_be_unloaded(server: Server) -> None:
    call(server, "/api/generate")
    call(server, "/api/generate", keep_alive=0)
    assert httpx.get(f"{server.url}/api/ps").json() == {"models": []}
