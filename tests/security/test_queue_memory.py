"""What clients send does not fill the scheduler's memory while it waits."""

import base64
import io
from collections import Counter
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import numpy as np
import psutil
from PIL import Image
from support.models_folder import models_folder
from support.serving import Server, StartServer, paused, short_folder, until
from support.vision_models import write_projector, write_text_model

CROWD = 16
SIDE = 1155
"""Pixels of an image's side: 4 MB as random PNG."""
SLACK = 16 << 20
"""Bytes by which the scheduler may grow: a few calls with their buffers, and a quarter of the crowd's images."""
BUSY = {"error": "server busy, please try again.  maximum pending requests exceeded"}
FEW = {"num_predict": 2, "num_ctx": 2048}


@contextmanager
def server_that_sees(start: StartServer, **changes: str) -> Generator[Server]:
    """A server with one slot and the model `see`, which is loaded."""
    with short_folder() as folder:
        models = models_folder(folder)
        text, eyes = write_text_model(models.root / "t.gguf"), write_projector(models.root / "p.gguf")
        layers = models.layer("model", text.read_bytes()), models.layer("projector", eyes.read_bytes())
        models.install("registry.ollama.ai/library/see/latest", *layers)
        server = start(folder, OLLAMA_NUM_PARALLEL="1", **changes)
        ask(server, "hello").raise_for_status()
        yield server


def ask(server: Server, prompt: str, *images: str) -> httpx.Response:
    body = {"model": "see", "prompt": prompt, "images": images, "options": FEW, "stream": False}
    return httpx.post(f"{server.url}/api/generate", json=body, timeout=60)


def large_image() -> str:
    pixels = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return base64.b64encode(file.getvalue()).decode()


def pid_of(server: Server, title: str) -> int:
    return server.processes()[f"remuda {title}"]


def test_large_images_wait_outside_of_the_scheduler_and_all_are_answered(start: StartServer) -> None:
    image = large_image()
    with server_that_sees(start) as server, ThreadPoolExecutor(CROWD) as pool:
        scheduler = psutil.Process(pid_of(server, "scheduler"))
        before = scheduler.memory_info().rss
        with paused(pid_of(server, "worker see:latest cpu")):
            replies = [pool.submit(ask, server, "what?", image) for _ in range(CROWD)]
            until(lambda: server.scheduler_state().waiting == CROWD - 1, seconds=60)
            grown = scheduler.memory_info().rss - before
        assert [reply.result().status_code for reply in replies] == [200] * CROWD
        assert grown < SLACK


def test_requests_that_exceed_the_bytes_of_the_queue_are_refused_as_busy(start: StartServer) -> None:
    prompt = "x" * 2000  # three bytes of work for each token
    with (
        server_that_sees(start, REMUDA_QUEUE_BYTES="15000", REMUDA_INLINE_WORK="30000") as server,
        ThreadPoolExecutor(CROWD) as pool,
        paused(pid_of(server, "worker see:latest cpu")),
    ):
        replies: list[Future[httpx.Response]] = []
        for _ in range(CROWD):
            replies.append(pool.submit(ask, server, prompt))
        until(lambda: sum(reply.done() for reply in replies) >= CROWD // 2)
        refused = [reply.result() for reply in replies if reply.done()]
        assert all((reply.status_code, reply.json()) == (503, BUSY) for reply in refused)
        assert 0 < server.scheduler_state().waiting < CROWD // 2
    statuses = Counter(reply.result().status_code for reply in replies)
    assert set(statuses) == {200, 503}
