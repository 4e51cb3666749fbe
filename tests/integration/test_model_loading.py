"""How a model is loaded: from several files, with the settings for loads; and how a load is given up."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import get_args

import httpx
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from support.models_folder import ENDLESS, install_endless, install_gguf, models_folder
from support.scripted import write_scripted_model
from support.serving import Server, StartServer, is_alive, until
from support.split_models import split_gguf

from remuda.settings import KvCacheType
from workers.engine.batch import Batch
from workers.engine.context import Context, ContextOptions
from workers.engine.model import Model, ModelOptions

SCRIPT = "one model out of three files"


@pytest.fixture
def parts(private_folder: Path) -> Path:
    """A server's folder with a model as `whole`, and the same split into three files as `parts`."""
    folder = models_folder(private_folder)
    whole = write_scripted_model(private_folder / "whole.gguf", SCRIPT)
    layers = [folder.layer("model", file.read_bytes()) for file in split_gguf(whole, tensors_per_file=5)]
    folder.install("registry.ollama.ai/library/parts/latest", *layers)
    install_gguf(folder, "whole", whole.read_bytes())
    return private_folder


def say(server: Server, model: str = "parts", **options: object) -> httpx.Response:
    asked = {"model": model, "prompt": "?", "raw": True, "stream": False, "options": {"temperature": 0, **options}}
    return httpx.post(f"{server.url}/api/generate", json=asked, timeout=20)


async def held_worker(server: Server) -> psutil.Process:
    """The first worker that is started, stopped before it can have loaded anything."""

    def starting() -> list[psutil.Process]:
        return [process for process in psutil.Process(server.process.pid).children(recursive=True) if _is_new(process)]

    (process,) = await asyncio.to_thread(until, starting)
    process.suspend()
    return process


def _is_new(process: psutil.Process) -> bool:
    """Whether this is a worker that has not even read what it is to load: it has no title of its own yet."""
    try:
        return "workers.worker" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


async def gone(process: psutil.Process) -> None:
    await asyncio.to_thread(until, lambda: not is_alive(process.pid))


def test_a_split_model_is_served_from_blobs_and_takes_the_memory_of_a_whole_one(
    parts: Path, start: StartServer
) -> None:
    server = start(parts)
    assert [say(server, model).json()["response"] for model in ("parts", "whole")] == [SCRIPT] * 2
    first, second = httpx.get(f"{server.url}/api/ps").json()["models"]
    assert first["size"] == second["size"]


@pytest.mark.parametrize(
    "settings",
    [
        {"REMUDA_MLOCK": "1", "REMUDA_NUMA": "distribute", "REMUDA_SPLIT_MODE": "row", "REMUDA_TENSOR_SPLIT": "3,1"},
        {"REMUDA_DIRECT_IO": "1", "OLLAMA_FLASH_ATTENTION": "1", "OLLAMA_KV_CACHE_TYPE": "Q8_0"},
        {"OLLAMA_FLASH_ATTENTION": "0"},
    ],
    ids="+".join,
)
def test_a_model_says_the_same_however_it_is_loaded(parts: Path, start: StartServer, settings: dict[str, str]) -> None:
    server = start(parts, **settings)
    assert say(server).json()["response"] == SCRIPT
    assert say(server, use_mmap=False, num_gpu=0).json()["response"] == SCRIPT


def test_a_smaller_context_than_loaded_is_kept_to_without_a_reload(private_folder: Path, start: StartServer) -> None:
    install_endless(models_folder(private_folder))
    server = start(private_folder)

    def ask(num_ctx: int, **options: int) -> dict[str, int]:
        body = ENDLESS | {"stream": False, "shift": False, "options": {"num_ctx": num_ctx, **options}}
        return httpx.post(f"{server.url}/api/generate", json=body, timeout=20).json()

    def workers() -> list[int]:
        return [pid for title, pid in server.processes().items() if title.startswith("remuda worker")]

    ask(1024, num_predict=4)
    before = workers()
    reply = ask(64)
    assert reply["prompt_eval_count"] + reply["eval_count"] == 64 + 1  # the last token is never computed
    assert workers() == before
    (model,) = httpx.get(f"{server.url}/api/ps").json()["models"]
    assert model["context_length"] == 1024


def test_a_cache_type_that_cannot_be_is_told_at_the_start_and_not_used(parts: Path, start: StartServer) -> None:
    server = start(parts, OLLAMA_FLASH_ATTENTION="0", OLLAMA_KV_CACHE_TYPE="q8_0")
    assert server.log.count("OLLAMA_KV_CACHE_TYPE=q8_0 needs flash attention") == 1
    assert say(server).json()["response"] == SCRIPT


@pytest.mark.parametrize("kind", get_args(KvCacheType))
def test_every_type_of_cache_computes_about_the_same(tmp_path: Path, kind: KvCacheType) -> None:
    path = write_scripted_model(tmp_path / "model.gguf", SCRIPT)
    first, second = [last_logits(path, each) for each in ("f32", kind)]
    assert np.corrcoef(first, second)[0, 1] > 0.9


def last_logits(path: Path, kind: KvCacheType) -> NDArray[np.float32]:
    """After some tokens in two batches, so that the second one reads what the first one has written."""
    context = Context(
        Model(ModelOptions(str(path)), lambda _: None), ContextOptions(1, 256, 16, threads=1, kv_cache_type=kind)
    )
    batch = Batch(16)
    for start in (0, 16):
        batch.fill([3 + 7 * place for place in range(16)], list(range(start, start + 16)), [0] * 16, [0] * 15 + [1])
        assert context.decode(batch) == 0
    return context.logits(1)[0].copy()


def test_each_worker_runs_on_a_set_of_cpus_of_its_own(parts: Path, start: StartServer) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    server = start(parts, REMUDA_CPU_AFFINITY=f"{cpus[0]};{cpus[-1]}")
    for ask, name, cpu in ((say, "parts", cpus[0]), (Server.generate, "cria", cpus[-1])):
        assert ask(server).status_code == 200
        worker = psutil.Process(server.processes()[f"remuda worker {name}:latest cpu"])
        assert {tuple(os.sched_getaffinity(thread.id)) for thread in worker.threads()} == {(cpu,)}


def test_cpus_that_are_not_there_do_not_keep_a_worker_from_serving(parts: Path, start: StartServer) -> None:
    server = start(parts, REMUDA_CPU_AFFINITY="8000")
    assert say(server).status_code == 200
    assert "CPU affinity not set" in server.log


async def test_a_load_is_aborted_when_the_last_who_waits_for_it_leaves(start: StartServer) -> None:
    server = start()
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        waiting = asyncio.create_task(client.post("/api/generate", json={"model": "cria", "prompt": "Hello!"}))
        worker = await held_worker(server)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await gone(worker)  # though it does not even react to SIGTERM

    server.assert_serves()


async def test_a_load_is_aborted_when_its_model_is_unloaded(start: StartServer) -> None:
    server = start()
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        loading = asyncio.create_task(client.post("/api/generate", json={"model": "cria"}))
        worker = await held_worker(server)
        unloaded = await client.post("/api/generate", json={"model": "cria", "keep_alive": 0})
        assert unloaded.json()["done_reason"] == "unload"
        assert "unloaded while it was loading" in (await loading).json()["error"]
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.resume()  # else its end takes the host's patience
        await gone(worker)

    server.assert_serves()
