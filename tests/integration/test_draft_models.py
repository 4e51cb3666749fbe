"""A model with a draft model in its manifest, on a real server; what the worker counts reaches the scheduler."""

from collections.abc import Generator
from pathlib import Path

import grpc
import ollama
import pytest
from support.memory_models import write_plain, write_recurrent
from support.models_folder import models_folder
from support.ollama_layout import OllamaFolder
from support.scripted import write_scripted_model
from support.serving import Server, running_server, short_folder, until

from remuda.v1 import serving_pb2 as pb
from remuda.v1 import serving_pb2_grpc

STORY = " ".join(f"w{number}" for number in range(200))
GREEDY = {"temperature": 0}


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    with short_folder() as root:
        folder = models_folder(root)
        story = write_scripted_model(root / "story.gguf", STORY)
        other = write_scripted_model(root / "other.gguf", "another vocabulary " + STORY)
        install(folder, "story", story, story)
        install(folder, "misled", story, other)
        install(folder, "recurring", write_plain(root / "plain.gguf"), write_recurrent(root / "recurrent.gguf"))
        with running_server(root, REMUDA_STATS_INTERVAL="50ms") as server:
            yield server


def install(folder: OllamaFolder, name: str, base: Path, draft: Path) -> None:
    layers = [folder.layer("model", base.read_bytes()), folder.layer("draft", draft.read_bytes())]
    folder.install(f"registry.ollama.ai/library/{name}/latest", *layers)


def stats_of(server: Server, name: str) -> pb.WorkerStats:
    (socket,) = server.run_dir.rglob("scheduler.grpc")
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        residents = serving_pb2_grpc.SchedulerStub(channel).Residents(pb.ResidentsRequest()).residents
    return next(resident.stats for resident in residents if resident.model.name.startswith(name))


def test_a_draft_model_saves_steps_and_changes_nothing(server: Server, native: ollama.Client) -> None:
    reply = native.generate("story", "?", options=GREEDY)
    assert (reply.response, reply.eval_count) == (STORY, 201)
    stats = until(lambda: found if (found := stats_of(server, "story")).decode_tokens >= 201 else None)
    assert stats.accepted_tokens > 0
    assert stats.decode_steps < stats.decode_tokens


def test_a_request_that_wants_no_drafts_gets_none_and_reloads_nothing(server: Server, native: ollama.Client) -> None:
    before = until(lambda: stats_of(server, "story"))
    native.generate("story", "?", options={**GREEDY, "draft_num_predict": 0})
    after = until(
        lambda: found if (found := stats_of(server, "story")).decode_tokens >= before.decode_tokens + 201 else None
    )
    assert after.drafted_tokens == before.drafted_tokens


def test_a_draft_model_with_another_vocabulary_is_refused_with_the_reason(native: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="the draft model has another vocabulary") as refused:
        native.generate("misled", "?", options=GREEDY)
    assert refused.value.status_code == 500


def test_a_recurrent_model_is_no_draft_model(server: Server, native: ollama.Client) -> None:
    assert native.generate("recurring", "?", raw=True, options={**GREEDY, "num_predict": 4}).eval_count
    assert "a recurrent model cannot take back what it guessed" in server.log
