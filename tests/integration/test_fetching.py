"""Whoever dies while a worker fetches a large request from its gateway: the only slot is free again, and a request that
somebody still waits for is answered."""

import json
import os
import signal
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import httpx
import pytest
from support.models_folder import ENDLESS, install_endless, models_folder
from support.serving import DEADLINE, Server, StartServer, paused, short_folder, until

GATEWAY, SCHEDULER, WORKER = "remuda gateway 0", "remuda scheduler", "remuda worker endless:latest cpu"
LARGE = ENDLESS | {"prompt": "?" * 1000}
FEW = {"options": {"num_ctx": 32768, "num_predict": 3}, "stream": False}
Sent = TypeVar("Sent")


@contextmanager
def one_slot(start: StartServer, **changes: str) -> Generator[Server]:
    """A server with a single slot of the model `endless`, which is loaded. Few bytes make a request large."""
    settings = {"OLLAMA_NUM_PARALLEL": "1", "REMUDA_INLINE_WORK": "500", "REMUDA_STATS_INTERVAL": "100ms", **changes}
    with short_folder() as folder:
        install_endless(models_folder(folder))
        server = start(folder, **settings)
        assert generate(server, ENDLESS | FEW).status_code == 200
        until(lambda: not has_slot(server))  # the client reads the end before the scheduler does
        yield server


def generate(server: Server, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{server.url}/api/generate", json=body, timeout=DEADLINE)


@contextmanager
def mid_fetch(server: Server, send: Callable[[], Sent]) -> Generator[Sent]:
    """Sends a request. Inside the block its worker fetches it from a gateway that stands still."""
    processes = server.processes()
    with ExitStack() as stack:
        with paused(processes[WORKER]):
            sent = send()
            until(lambda: has_slot(server))
            stack.enter_context(paused(processes[GATEWAY]))
        until(lambda: is_fetched(server) or not has_slot(server))
        yield sent


def has_slot(server: Server) -> bool:
    """Whether a request has the slot."""
    return server.scheduler_state().running == 1


def is_fetched(server: Server) -> bool:
    """Whether a worker waits for a work."""
    return any(resident.stats.waiting for resident in server.scheduler_state().residents)


def kill(server: Server, title: str) -> None:
    os.kill(server.processes()[title], signal.SIGKILL)


def replace_scheduler(server: Server) -> None:
    """Kills the scheduler and waits until its successor has adopted the worker with its request."""
    before = server.processes()[SCHEDULER]
    kill(server, SCHEDULER)
    until(lambda: server.processes().get(SCHEDULER) not in (None, before))
    until(lambda: has_slot(server))


def test_a_killed_gateway_leaves_no_slot_taken(start: StartServer) -> None:
    with one_slot(start) as server, ThreadPoolExecutor(1) as pool:
        with mid_fetch(server, lambda: pool.submit(generate, server, LARGE)) as reply:
            kill(server, GATEWAY)
            until(lambda: not has_slot(server))
        with pytest.raises(httpx.TransportError):
            reply.result()
        assert generate(server, LARGE | FEW).status_code == 200


def test_a_request_outlives_the_worker_that_fetches_it(start: StartServer) -> None:
    with one_slot(start) as server, ThreadPoolExecutor(1) as pool:
        with mid_fetch(server, lambda: pool.submit(generate, server, LARGE | FEW)) as reply:
            kill(server, WORKER)
        assert reply.result().json()["eval_count"] == 3


def test_a_client_that_leaves_frees_the_slot(start: StartServer) -> None:
    with one_slot(start) as server:
        body = json.dumps(LARGE).encode()
        head = f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        with server.connect() as client, mid_fetch(server, lambda: client.sendall(head + body)):
            client.close()
        until(lambda: not has_slot(server))
        assert generate(server, LARGE | FEW).status_code == 200


def test_a_fetch_goes_on_beside_a_restart_of_the_scheduler(start: StartServer) -> None:
    with one_slot(start) as server, ThreadPoolExecutor(1) as pool:
        with mid_fetch(server, lambda: pool.submit(generate, server, LARGE | FEW)) as reply:
            replace_scheduler(server)
        assert reply.result().json()["eval_count"] == 3


def test_a_gateway_and_a_scheduler_that_die_leave_no_slot_taken(start: StartServer) -> None:
    with one_slot(start) as server, ThreadPoolExecutor(1) as pool:
        with mid_fetch(server, lambda: pool.submit(generate, server, LARGE)) as reply:
            replace_scheduler(server)
            kill(server, GATEWAY)
            until(lambda: not has_slot(server))
        with pytest.raises(httpx.TransportError):
            reply.result()


def test_a_work_that_does_not_come_gives_its_slot_back(start: StartServer) -> None:
    with one_slot(start, REMUDA_FETCH_TIMEOUT="1s") as server, ThreadPoolExecutor(1) as pool:
        with mid_fetch(server, lambda: pool.submit(generate, server, LARGE)) as reply:
            until(lambda: not has_slot(server))
        refused = reply.result()
        assert refused.status_code == 500
        last = json.loads(refused.text.splitlines()[-1])
        assert last == {"error": "the request could not be fetched from its gateway: DEADLINE_EXCEEDED"}
