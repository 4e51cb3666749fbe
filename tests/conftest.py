"""What all tests share: an environment without the developer's settings, and real servers for those that need one."""

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import ollama
import openai
import pytest
from support.serving import Server, StartServer, end_server, short_folder, start_server


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No OLLAMA_* or REMUDA_* variable of the shell reaches a test."""
    for name in list(os.environ):
        if name.startswith(("OLLAMA_", "REMUDA_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server() -> Generator[Server]:
    """One server for all tests that only use it. Tests that kill or configure processes start their own."""
    with short_folder() as folder:
        server = start_server(folder, {})
        yield server
        end_server(server)


@pytest.fixture
def native(server: Server) -> Generator[ollama.Client]:
    """Ollama's own client of `server`; a module with models of its own has a `server` of its own."""
    client = ollama.Client(server.url)
    yield client
    client._client.close()  # it has no public way


@pytest.fixture
def compatible(server: Server) -> Generator[openai.OpenAI]:
    """OpenAI's own client of `server`."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def private_folder() -> Generator[Path]:
    """A folder with a path short enough for unix sockets, which pytest's tmp_path is not."""
    with short_folder() as folder:
        yield folder


@pytest.fixture
def start() -> Generator[StartServer]:
    """Starts servers with the environment variables given as keywords; they end with the test."""
    with ExitStack() as stack:

        def start(folder: Path | None = None, **changes: str) -> Server:
            server = start_server(folder or stack.enter_context(short_folder()), changes)
            stack.callback(end_server, server)
            return server

        yield start
