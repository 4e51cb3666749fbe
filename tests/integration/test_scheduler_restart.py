"""The scheduler dies: running streams go on, its successor takes over the workers that live."""

import json
import os
import signal

import httpx
from support.models_folder import install_script, models_folder
from support.serving import Server, StartServer, short_folder, until

ENDLESS = {"model": "endless", "prompt": "?", "raw": True, "options": {"num_ctx": 32768}}


def pid_of(server: Server, title: str) -> int | None:
    return server.processes().get(title)


def test_streams_outlive_the_scheduler_and_its_successor_adopts_the_worker(start: StartServer) -> None:
    with short_folder() as folder:
        install_script(models_folder(folder), "endless", "and on we go", for_ever=True)
        server = start(folder)
        with httpx.stream("POST", f"{server.url}/api/generate", json=ENDLESS, timeout=20) as reply:
            lines = reply.iter_lines()
            next(lines)
            worker = pid_of(server, "remuda worker endless:latest cpu")
            scheduler = pid_of(server, "remuda scheduler")
            assert scheduler is not None
            os.kill(scheduler, signal.SIGKILL)
            until(lambda: pid_of(server, "remuda scheduler") not in (None, scheduler))
            short = ENDLESS | {"options": {"num_ctx": 32768, "num_predict": 3}, "stream": False}
            second = httpx.post(f"{server.url}/api/generate", json=short, timeout=20)
            later = [json.loads(next(lines)) for _ in range(1000)]

        assert second.json()["eval_count"] == 3
        assert all("error" not in line and not line["done"] for line in later)
        assert pid_of(server, "remuda worker endless:latest cpu") == worker


def test_a_client_that_leaves_after_the_scheduler_died_still_stops_its_request(start: StartServer) -> None:
    with short_folder() as folder:
        install_script(models_folder(folder), "endless", "and on we go", for_ever=True)
        server = start(folder, OLLAMA_NUM_PARALLEL="1")
        with httpx.stream("POST", f"{server.url}/api/generate", json=ENDLESS, timeout=20) as reply:
            lines = reply.iter_lines()
            next(lines)
            scheduler = pid_of(server, "remuda scheduler")
            assert scheduler is not None
            os.kill(scheduler, signal.SIGKILL)
            until(lambda: pid_of(server, "remuda scheduler") not in (None, scheduler))

        short = ENDLESS | {"options": {"num_ctx": 32768, "num_predict": 3}, "stream": False}
        second = httpx.post(f"{server.url}/api/generate", json=short, timeout=20)  # needs the only slot
        assert second.json()["eval_count"] == 3
