"""After the scheduler's death running streams go on, and its successor adopts the living workers."""

import json
import os
import signal

import httpx
from support.models_folder import ENDLESS, install_endless, models_folder
from support.serving import Server, StartServer, short_folder, until

THREE_TOKENS = ENDLESS | {"options": {"num_ctx": 32768, "num_predict": 3}, "stream": False}


def pid_of(server: Server, title: str) -> int | None:
    return server.processes().get(title)


def replace_scheduler(server: Server) -> None:
    """Kills the scheduler and waits for its successor."""
    scheduler = server.processes()["remuda scheduler"]
    os.kill(scheduler, signal.SIGKILL)
    until(lambda: pid_of(server, "remuda scheduler") not in (None, scheduler))


def test_streams_outlive_the_scheduler_and_its_successor_adopts_the_worker(start: StartServer) -> None:
    with short_folder() as folder:
        install_endless(models_folder(folder))
        server = start(folder)
        with httpx.stream("POST", f"{server.url}/api/generate", json=ENDLESS, timeout=20) as reply:
            lines = reply.iter_lines()
            next(lines)
            worker = pid_of(server, "remuda worker endless:latest cpu")
            replace_scheduler(server)
            second = httpx.post(f"{server.url}/api/generate", json=THREE_TOKENS, timeout=20)
            later = [json.loads(next(lines)) for _ in range(1000)]

        assert second.json()["eval_count"] == 3
        assert all("error" not in line and not line["done"] for line in later)
        assert pid_of(server, "remuda worker endless:latest cpu") == worker


def test_a_client_that_leaves_after_the_scheduler_died_still_stops_its_request(start: StartServer) -> None:
    with short_folder() as folder:
        install_endless(models_folder(folder))
        server = start(folder, OLLAMA_NUM_PARALLEL="1")
        with httpx.stream("POST", f"{server.url}/api/generate", json=ENDLESS, timeout=20) as reply:
            lines = reply.iter_lines()
            next(lines)
            replace_scheduler(server)

        second = httpx.post(f"{server.url}/api/generate", json=THREE_TOKENS, timeout=20)  # needs the only slot
        assert second.json()["eval_count"] == 3
