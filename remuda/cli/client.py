"""The command's client of the HTTP API."""

import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import orjson

from remuda.cli.errors import CommandError
from remuda.durations import seconds
from remuda.settings import read_settings

Json = Mapping[str, Any]

NOT_RUNNING = "could not connect to remuda server, run 'remuda serve' to start it"


class ModelNotFoundError(CommandError):
    """The server has no such model."""


class Client:
    """Calls the server. Every failure is a CommandError with the server's error text."""

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
        """Yields the objects of an NDJSON answer. Raises CommandError for an error object in the middle of it."""
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
    """A client of the server at OLLAMA_HOST. Raises CommandError if no server answers there."""
    settings, warnings = read_settings()
    for warning in warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    connect = seconds(settings.client_timeout_ns)
    timeout = httpx.Timeout(None, connect=connect)
    headers = {"Content-Type": "application/json"}
    # The environment's proxies serve the internet, not a server on this machine or network.
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
