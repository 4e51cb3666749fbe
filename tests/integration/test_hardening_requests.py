"""A single hostile request costs the others neither answers nor memory nor log."""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from support.serving import Server, running_server, short_folder, until

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    with short_folder() as folder, running_server(folder) as server:
        yield server


def generate(server: Server, **fields: Any) -> httpx.Response:
    body = {"model": "cria", "stream": False} | fields
    return httpx.post(f"{server.url}/api/generate", json=body, timeout=20)


@pytest.mark.parametrize("keep_alive", [1e30, "2562047h"])
def test_a_keep_alive_of_centuries_leaves_the_list_of_loaded_models_readable(
    server: Server, keep_alive: object
) -> None:
    assert generate(server, keep_alive=keep_alive).status_code == 200
    assert httpx.get(f"{server.url}/api/ps").json()["models"]
    assert "Traceback" not in server.log


def test_an_infinite_keep_alive_is_no_failure_of_the_server(server: Server) -> None:
    reply = httpx.post(f"{server.url}/api/generate", content=b'{"model":"cria","keep_alive":1e400}')
    assert reply.status_code in (200, 400)


def test_a_model_name_of_many_megabytes_is_an_invalid_name_and_stays_out_of_the_log(server: Server) -> None:
    before = Path(server.folder / "log").stat().st_size
    reply = generate(server, model="a" * 70 * MEGABYTE, prompt="x")
    assert (reply.status_code, reply.json()) == (400, {"error": "invalid model name"})
    assert Path(server.folder / "log").stat().st_size - before < MEGABYTE


def test_a_header_without_end_is_refused_before_it_fills_the_memory(server: Server) -> None:
    gateway = psutil.Process(server.processes()["remuda gateway 0"])
    before = gateway.memory_info().rss
    with server.connect() as client, contextlib.suppress(ConnectionError, TimeoutError):
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40 * MEGABYTE)
    assert gateway.memory_info().rss - before < 20 * MEGABYTE


@pytest.mark.parametrize(("path", "header"), [("/api/generate", ""), ("/v1/completions", "Content-Encoding: zstd\r\n")])
def test_a_client_that_leaves_within_its_body_is_no_failure_of_the_server(
    server: Server, path: str, header: str
) -> None:
    before = len(server.records(route=f"POST {path}"))
    with server.connect() as client:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: 1000\r\n\r\n"
        client.sendall(head.encode() + b'{"model":')
    (record,) = until(lambda: server.records(route=f"POST {path}")[before:])
    assert (record["level"], record["status"], record["outcome"]) == ("info", 499, "cancelled")
    assert "request failed" not in server.log
    assert "Traceback" not in server.log


def test_a_history_of_a_thousand_messages_is_cut_to_the_context(server: Server) -> None:
    messages = [{"role": "user", "content": "hello there " * 20}] * 1000
    body = {"model": "cria", "messages": messages, "stream": False, "options": {"num_predict": 1}}
    reply = httpx.post(f"{server.url}/api/chat", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    assert 2048 < reply.json()["prompt_eval_count"] < 4096
