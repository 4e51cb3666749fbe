"""The command's side of the HTTP API: a few calls, with the server's error texts."""

import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import orjson

from remuda.cli.errors import CommandError
from remuda.durations import NANOSECONDS
from remuda.settings import read_settings

Json = Mapping[str, Any]

NOT_RUNNING = "could not connect to remuda server, run 'remuda serve' to start it"


class ModelNotFoundError(CommandError):
    """The server knows no such model."""


class Client:
    """Calls the server at OLLAMA_HOST. Every failure is a CommandError with the server's own words."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, path: str) -> dict[str, Any]:
        with _connecting():
            response = self._http.get(path)
        _raise_for_error(response.status_code, response.content)
        return orjson.loads(response.content)

    def post(self, path: str, body: Json) -> dict[str, Any]:
        with _connecting():
            response = self._http.post(path, content=orjson.dumps(body))
        _raise_for_error(response.status_code, response.content)
        return orjson.loads(response.content)

    def stream(self, path: str, body: Json) -> Iterator[dict[str, Any]]:
        """The objects of an NDJSON answer. An error in the middle of it is raised like one at its start."""
        with _connecting(), self._http.stream("POST", path, content=orjson.dumps(body)) as response:
            if response.status_code >= 400:
                _raise_for_error(response.status_code, response.read())
            for line in response.iter_lines():
                part: dict[str, Any] = orjson.loads(line)
                if "error" in part:
                    raise CommandError(part["error"])
                yield part


@contextmanager
def open_client() -> Generator[Client]:
    """A client whose server was found alive. Raises CommandError otherwise."""
    settings, complaints = read_settings()
    for complaint in complaints:
        print(f"Warning: {complaint}", file=sys.stderr)
    connect = settings.client_timeout_ns / NANOSECONDS["s"]
    timeout = httpx.Timeout(None, connect=connect)
    headers = {"Content-Type": "application/json"}
    # proxies of the environment are for the internet, not for a server on this machine or network
    with httpx.Client(base_url=settings.address.client_url, timeout=timeout, headers=headers, trust_env=False) as http:
        with _connecting():
            http.head("/", timeout=connect)
        yield Client(http)


@contextmanager
def _connecting() -> Generator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise CommandError(NOT_RUNNING) from error
    except httpx.TransportError as error:
        raise CommandError(f"the connection to the server was lost: {error}") from error


def _raise_for_error(status: int, body: bytes) -> None:
    if status < 400:
        return
    message = _error_text(body) or f"the server answered with status {status}"
    raise ModelNotFoundError(message) if status == 404 else CommandError(message)


def _error_text(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()
