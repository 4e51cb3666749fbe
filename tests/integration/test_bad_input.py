"""Bad requests and broken models get the errors of Ollama's API, and the server goes on serving."""

from collections.abc import Generator
from typing import Any

import httpx
import pytest
from support.models_folder import install_gguf, install_script, models_folder
from support.ollama_layout import write_gguf
from support.serving import Server, running_server, short_folder

TOO_LONG = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the "
    "context length in settings, or use a model with a longer context length"
)


@pytest.fixture(scope="module")
def damaged() -> Generator[Server]:
    """A server whose models folder holds one good model beside bad ones."""
    with short_folder() as folder:
        models = models_folder(folder)
        install_script(models, "good", "All is well.")
        gguf = max((folder / "models" / "blobs").iterdir(), key=lambda blob: blob.stat().st_size).read_bytes()
        install_gguf(models, "truncated", gguf[: len(gguf) * 2 // 3])
        install_gguf(models, "garbage", b"not a model at all " * 1000)
        install_gguf(models, "headless", b"GGUF")
        # a valid GGUF file with too few tensors for llama.cpp to load
        install_gguf(models, "unloadable", write_gguf(folder / "tiny.gguf").read_bytes())
        with running_server(folder) as server:
            yield server


def post(server: Server, path: str, body: Any) -> httpx.Response:
    content = body if isinstance(body, bytes | str) else None
    return httpx.post(f"{server.url}{path}", content=content, json=None if content is not None else body, timeout=20)


def is_serving(server: Server) -> bool:
    reply = post(server, "/api/generate", {"model": "good", "prompt": "?", "stream": False})
    return reply.status_code == 200 and reply.json()["response"].strip() == "All is well."


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/api/generate", {"model": "nobody", "prompt": "?"}, 404, "model 'nobody' not found"),
        ("/api/chat", {"model": "nobody", "messages": []}, 404, "model 'nobody' not found"),
        ("/api/show", {"model": "nobody"}, 404, "model 'nobody:latest' not found"),
        ("/api/generate", {"model": "../../etc/passwd", "prompt": "?"}, 400, "invalid model name"),
        ("/api/chat", {"messages": []}, 400, "model is required"),
        ("/api/generate", "", 400, "missing request body"),
        ("/api/generate", '{"model": }', 400, None),
        ("/api/generate", '{"model": "good", "stream": "no"}', 400, None),
        ("/api/generate", {"model": "good", "prompt": "?", "options": {"top_k": "x"}}, 500, None),
        ("/api/generate", {"model": "good", "prompt": "?", "format": "yaml"}, 500, None),
        ("/api/generate", {"model": "good", "prompt": "?", "keep_alive": "10"}, 400, None),
        ("/api/generate", {"model": "good", "prompt": "?", "top_logprobs": 21}, 400, None),
        ("/api/chat", {"model": "good", "messages": [{"role": "user", "content": []}]}, 400, None),
    ],
)
def test_a_bad_request_gets_its_status_and_text(
    damaged: Server, path: str, body: Any, status: int, error: str | None
) -> None:
    reply = post(damaged, path, body)

    assert reply.status_code == status
    assert error is None or reply.json() == {"error": error}
    assert "Traceback" not in reply.text
    assert is_serving(damaged)


@pytest.mark.parametrize("model", ["truncated", "garbage", "headless", "unloadable"])
def test_a_broken_model_is_a_500_without_paths(damaged: Server, model: str) -> None:
    reply = post(damaged, "/api/generate", {"model": model, "prompt": "?"})

    assert reply.status_code == 500
    assert reply.json()["error"]
    assert str(damaged.folder) not in reply.text
    assert is_serving(damaged)


def test_a_broken_model_is_an_error_in_openais_form(damaged: Server) -> None:
    reply = post(damaged, "/v1/chat/completions", {"model": "garbage", "messages": [{"role": "user", "content": "?"}]})

    assert reply.status_code == 500
    assert reply.json()["error"]["type"] == "api_error"


def test_a_prompt_longer_than_the_context_is_refused_if_it_may_not_be_cut(damaged: Server) -> None:
    body = {"model": "good", "prompt": "word " * 600, "raw": True, "shift": False, "options": {"num_ctx": 256}}
    reply = post(damaged, "/api/generate", body)

    assert (reply.status_code, reply.json()) == (400, {"error": TOO_LONG})


def test_a_prompt_longer_than_the_context_is_cut_in_the_middle(damaged: Server) -> None:
    body = {"model": "good", "prompt": "word " * 600, "raw": True, "stream": False, "options": {"num_ctx": 256}}
    reply = post(damaged, "/api/generate", body)

    assert reply.status_code == 200
    assert reply.json()["prompt_eval_count"] < 256


def test_bytes_that_are_no_http_close_only_their_connection(damaged: Server) -> None:
    with damaged.connect() as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")
        assert b"Traceback" not in connection.recv(4096)

    assert is_serving(damaged)
