"""Fixtures of all tests: an environment without the developer's settings, and real servers."""

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import ollama
import openai
import pytest
from support.serving import Server, StartServer, running_server, short_folder


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the shell's OLLAMA_* and REMUDA_* variables from tests."""
    for name in list(os.environ):
        if name.startswith(("OLLAMA_", "REMUDA_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server() -> Generator[Server]:
    """One server for all tests that leave it as it is. Tests that kill or configure processes start their own."""
    with short_folder() as folder, running_server(folder) as server:
        yield server


@pytest.fixture
def native(server: Server) -> Generator[ollama.Client]:
    """Ollama's own client for `server`, which a module with models of its own overrides."""
    client = ollama.Client(server.url)
    yield client
    client._client.close()  # there is no public method for it


@pytest.fixture
def compatible(server: Server) -> Generator[openai.OpenAI]:
    """OpenAI's own client for `server`."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def private_folder() -> Generator[Path]:
    """A folder with a path short enough for unix sockets, which pytest's tmp_path is not."""
    with short_folder() as folder:
        yield folder


@pytest.fixture
def start() -> Generator[StartServer]:
    """Starts servers, which end with the test. Keywords are environment variables."""
    with ExitStack() as stack:

        def start(folder: Path | None = None, **changes: str) -> Server:
            return stack.enter_context(running_server(folder or stack.enter_context(short_folder()), **changes))

        yield start
