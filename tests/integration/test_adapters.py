"""LoRA adapters: models that differ in nothing else share one replica, run side by side in it, and never mix."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path

import ollama
import pytest
from support.lora_models import write_random_adapter, write_skipping_adapter
from support.models_folder import models_folder
from support.ollama_layout import OllamaFolder
from support.paths import CRIA
from support.scripted import write_scripted_model
from support.serving import Server, running_server, short_folder

STORY = " ".join(f"w{number}" for number in range(60))
SKIPPED = 20
GREEDY = {"temperature": 0}
SHORT = GREEDY | {"num_predict": 12}
QUESTIONS = ("What is the capital of France?", "Count to five.", "Who are you?")


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    with short_folder() as root:
        folder = models_folder(root)
        install(folder, "story", write_scripted_model(root / "story", STORY))
        install(folder, "late", root / "story", write_skipping_adapter(root / "late", STORY, SKIPPED))
        install(folder, "tuned", CRIA, write_random_adapter(root / "tuned", CRIA, seed=1))
        install(folder, "other", CRIA, write_random_adapter(root / "other", CRIA, seed=2))
        with running_server(root) as server:
            yield server


def install(folder: OllamaFolder, name: str, base: Path, *adapters: Path) -> None:
    layers = [folder.layer("model", base.read_bytes())]
    layers += [folder.layer("adapter", adapter.read_bytes()) for adapter in adapters]
    folder.install(f"registry.ollama.ai/library/{name}/latest", *layers)


def ask(client: ollama.Client, model: str, question: str) -> str:
    return client.chat(model, [{"role": "user", "content": question}], options=SHORT).message.content or ""


def test_streams_of_both_run_side_by_side_in_one_replica(server: Server, native: ollama.Client) -> None:
    streams = [native.generate(name, "?", stream=True, options=GREEDY) for name in ("story", "late")]
    texts = ["", ""]
    for pieces in zip_longest(*streams):
        texts = [text + (piece.response if piece else "") for text, piece in zip(texts, pieces, strict=True)]
        assert len([model for model in native.ps().models if model.model in ("story:latest", "late:latest")]) == 1
    assert texts[0] == STORY
    assert texts[1].split() == STORY.split()[SKIPPED:]
    workers = [title for title in server.processes() if "worker story" in title or "worker late" in title]
    assert len(workers) == 1


def test_an_adapter_changes_what_is_said(native: ollama.Client) -> None:
    answers = {ask(native, model, QUESTIONS[0]) for model in ("cria", "tuned", "other")}
    assert len(answers) == 3


def test_what_runs_beside_a_request_does_not_change_it(native: ollama.Client) -> None:
    pairs = [(model, question) for question in QUESTIONS for model in ("cria", "tuned", "other")]
    alone = [ask(native, *pair) for pair in pairs]
    with ThreadPoolExecutor(len(pairs)) as pool:
        together = list(pool.map(lambda pair: ask(native, *pair), pairs))
    assert together == alone


def test_the_prefix_cache_of_one_is_none_of_the_others(server: Server, native: ollama.Client) -> None:
    prompt = "A prompt that begins as no other one does: " + QUESTIONS[0]
    models = ("cria", "tuned", "other")
    first, again = ([complete(native, model, prompt) for model in models] for _ in range(2))
    assert [reply.response for reply in first] == [reply.response for reply in again]
    for reply in first:
        fresh, repeated = server.cached_tokens(reply.model or "", reply.prompt_eval_count, requests=2)
        assert fresh == 0
        assert repeated > 0


def complete(client: ollama.Client, model: str, prompt: str) -> ollama.GenerateResponse:
    return client.generate(model, prompt, raw=True, options=SHORT)
