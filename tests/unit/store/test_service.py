"""The store over gRPC, on folders as Ollama leaves them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from support.ollama_layout import JINJA, OllamaFolder, write_gguf

from remuda.endpoints import Endpoints
from remuda.rpc import open_channel, start_server
from remuda.sandbox.pool import OverloadedError, SandboxPool
from remuda.settings import Settings
from remuda.v1 import store_pb2 as pb
from remuda.v1 import store_pb2_grpc
from store import headers
from store.__main__ import main
from store.changes import Changes
from store.embedded import import_embedded
from store.gguf.header import Gguf
from store.layout import blobs
from store.library import Library
from store.service import StoreService
from store.shared_answer import SharedAnswer
from store.trial.trials import Trials, Version

CROWD = 32
DEADLINE_S = 20.0
PARAMS = {"temperature": 0.7, "num_ctx": 4096, "stop": ["<|im_end|>", 'say "x"'], "use_mmap": True}
TEMPLATE = "{{ if .System }}{{ .System }}{{ end }}\n{{ .Prompt }}"


@pytest.fixture
def folder(tmp_path: Path) -> OllamaFolder:
    folder = OllamaFolder(tmp_path / "models")
    folder.install(
        "registry.ollama.ai/library/Tiny/8B",
        folder.weights(),
        folder.layer("template", TEMPLATE.encode()),
        folder.layer("system", b"Be brief."),
        folder.layer("license", b"MIT"),
        folder.layer("license", b"Apache-2.0\nsecond line"),
        folder.layer("params", json.dumps(PARAMS).encode()),
        folder.layer("messages", b'[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]'),
    )
    return folder


@pytest.fixture
def settings(folder: OllamaFolder, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("OLLAMA_MODELS", str(folder.root))
    monkeypatch.setenv("REMUDA_WATCH_INTERVAL", "10ms")
    return Settings()


@pytest.fixture
async def store(settings: Settings, tmp_path: Path) -> AsyncIterator[store_pb2_grpc.StoreAsyncStub]:
    target = Endpoints(tmp_path).store
    library = Library(settings)
    service = StoreService(library, Trials(settings))
    looking = asyncio.create_task(library.changes.run())
    server = await start_server(target, lambda server: store_pb2_grpc.add_StoreServicer_to_server(service, server))
    async with open_channel(target) as channel:
        yield store_pb2_grpc.StoreStub(channel)
    looking.cancel()
    await server.stop(None)


async def resolve(store: store_pb2_grpc.StoreAsyncStub, name: str) -> pb.Bundle:
    return await store.Resolve(pb.ResolveRequest(name=name))


async def refusal(store: store_pb2_grpc.StoreAsyncStub, name: str) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await resolve(store, name)
    return caught.value.code(), caught.value.details() or ""


def overwrite(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)


async def test_resolves_all_that_a_gateway_needs(store: store_pb2_grpc.StoreAsyncStub) -> None:
    bundle = await resolve(store, "tiny:8b")
    assert (bundle.name, bundle.full_name) == ("Tiny:8B", "registry.ollama.ai/library/Tiny:8B")
    assert (bundle.go_template, bundle.system) == (TEMPLATE, "Be brief.")
    assert bundle.chat_template == pb.ChatTemplate(language=pb.TEMPLATE_LANGUAGE_GO, text=TEMPLATE)
    assert json.loads(bundle.params_json) == PARAMS
    assert [(message.role, message.content) for message in bundle.messages] == [("user", "hi"), ("assistant", "hello")]
    assert Path(bundle.model_path).name == f"sha256-{bundle.model_digest}"
    assert list(bundle.capabilities) == ["completion"]
    details = bundle.details
    assert (details.format, details.family, details.parameter_size) == ("gguf", "llama", "320")
    assert (details.quantization_level, details.context_length, details.embedding_length) == ("Q8_0", 512, 64)


async def test_lists_newest_first_and_keeps_damaged_models_visible(
    store: store_pb2_grpc.StoreAsyncStub, folder: OllamaFolder
) -> None:
    broken = folder.install("hf.co/me/broken/Q8_0", folder.layer("model", b"GGUF garbage"))
    reply = await store.List(pb.ListRequest())
    assert [model.name for model in reply.models] == ["hf.co/me/broken:Q8_0", "Tiny:8B"]
    assert reply.models[0].digest == broken
    assert reply.models[0].namespace == "me"
    assert reply.models[1].details.family == "llama"
    assert list(reply.models[1].capabilities) == ["completion"]


async def test_shows_the_modelfile_and_the_parameters(store: store_pb2_grpc.StoreAsyncStub) -> None:
    reply = await store.Show(pb.ShowRequest(name="tiny:8b"))
    assert reply.parameters.splitlines() == [
        "num_ctx                        4096",
        'stop                           "<|im_end|>"',
        'stop                           "say \\"x\\""',
        "temperature                    0.7",
        "use_mmap                       true",
    ]
    assert reply.modelfile.splitlines() == [
        '# Modelfile generated by "ollama show"',
        "# To build a new Modelfile based on this, replace FROM with:",
        "# FROM Tiny:8B",
        "",
        f"FROM {reply.bundle.model_path}",
        'TEMPLATE "{{ if .System }}{{ .System }}{{ end }}',
        '{{ .Prompt }}"',
        "SYSTEM Be brief.",
        "PARAMETER num_ctx 4096",
        "PARAMETER stop <|im_end|>",
        'PARAMETER stop say "x"',
        "PARAMETER temperature 0.7",
        "PARAMETER use_mmap true",
        "LICENSE MIT",
        'LICENSE "Apache-2.0',
        'second line"',
        "MESSAGE user hi",
        "MESSAGE assistant hello",
    ]
    assert list(reply.licenses) == ["MIT", "Apache-2.0\nsecond line"]


async def test_adapters_and_a_draft_model_are_resolved_and_shown(
    store: store_pb2_grpc.StoreAsyncStub, folder: OllamaFolder
) -> None:
    layers = [folder.weights(tokens=tokens) for tokens in (9, 10, 11, 12)]
    for layer, kind in zip(layers, ("model", "adapter", "adapter", "draft"), strict=True):
        layer["mediaType"] = f"application/vnd.ollama.image.{kind}"
    paths = [str(folder.root / "blobs" / layer["digest"].replace(":", "-")) for layer in layers]
    folder.install("registry.ollama.ai/library/tuned/latest", *layers)
    bundle = await resolve(store, "tuned")
    assert [bundle.model_path, *bundle.adapter_paths, bundle.draft_path] == paths
    lines = (await store.Show(pb.ShowRequest(name="tuned"))).modelfile.splitlines()
    assert lines[4:8] == [f"FROM {paths[0]}", f"ADAPTER {paths[1]}", f"ADAPTER {paths[2]}", f"DRAFT {paths[3]}"]


@pytest.mark.parametrize("verbose", [False, True])
async def test_shows_arrays_only_when_verbose(store: store_pb2_grpc.StoreAsyncStub, verbose: bool) -> None:
    reply = await store.Show(pb.ShowRequest(name="tiny:8b", verbose=verbose))
    info = json.loads(reply.model_info_json)
    assert info["general.architecture"] == "llama"
    assert info["general.parameter_count"] == 320
    assert info["llama.attention.layer_norm_rms_epsilon"] == 1e-5
    assert list(info) == sorted(info)
    assert {"general.name", "tokenizer.chat_template"}.isdisjoint(info)
    assert info["tokenizer.ggml.tokens"] == ([f"token {number}" for number in range(8)] if verbose else None)
    assert [(tensor.name, tensor.type, list(tensor.shape)) for tensor in reply.tensors] == [
        ("norm.weight", "F32", [64]),
        ("layer.weight", "Q8_0", [64, 4]),
    ]


async def test_bad_and_unknown_names_are_told_apart(store: store_pb2_grpc.StoreAsyncStub) -> None:
    assert await refusal(store, "../etc/passwd") == (grpc.StatusCode.INVALID_ARGUMENT, "invalid model name")
    assert await refusal(store, "nobody") == (grpc.StatusCode.NOT_FOUND, "model 'nobody:latest' not found")
    # a folder of that name is no model
    assert (await refusal(store, "tiny"))[0] is grpc.StatusCode.NOT_FOUND


async def test_damaged_models_are_a_failed_precondition_without_paths(
    store: store_pb2_grpc.StoreAsyncStub, folder: OllamaFolder
) -> None:
    good = folder.weights(tokens=9)
    content = (folder.root / "blobs" / good["digest"].replace(":", "-")).read_bytes()
    missing = folder.layer("model", b"gone")
    (folder.root / "blobs" / missing["digest"].replace(":", "-")).unlink()
    damaged = {
        "garbage": [folder.layer("model", b"garbage" * 100)],
        "truncated": [folder.layer("model", content[:-64])],
        "missing": [missing],
        "empty": [],
        "projector": [good, folder.layer("projector", b"garbage")],
        "adapter": [good, folder.layer("adapter", b"garbage")],
        "draft": [good, folder.layer("draft", b"garbage")],
        "params": [good, folder.layer("params", b"[1]")],
    }
    for name, layers in damaged.items():
        folder.install(f"registry.ollama.ai/library/{name}/latest", *layers)
        code, text = await refusal(store, name)
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert str(folder.root) not in text


async def test_exactly_the_named_files_are_tried(
    store: store_pb2_grpc.StoreAsyncStub, folder: OllamaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[list[str]] = []

    async def vocabulary(trials: Trials, version: Version) -> pb.Vocabulary:
        tried.append([str(file.path) for file in version])
        return pb.Vocabulary(longest_token=7)

    monkeypatch.setattr(Trials, "vocabulary", vocabulary)
    files = sorted(str(path) for path in (folder.root / "blobs").iterdir())[:2]
    assert (await store.Try(pb.TryRequest(files=files))).longest_token == 7
    assert tried == [files]


async def test_a_trial_of_a_file_that_is_gone_is_a_failed_precondition(
    store: store_pb2_grpc.StoreAsyncStub, folder: OllamaFolder
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await store.Try(pb.TryRequest(files=[str(folder.root / "blobs" / "sha256-0")]))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == "blob sha256-0 is missing"


async def test_a_store_that_cannot_try_now_is_unavailable(
    store: store_pb2_grpc.StoreAsyncStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(pool: SandboxPool, question: bytes) -> bytes:
        raise OverloadedError

    monkeypatch.setattr(SandboxPool, "ask", ask)
    bundle = await resolve(store, "tiny:8b")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await store.Try(pb.TryRequest(files=[bundle.model_path]))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_blob_that_goes_away_while_it_is_looked_at_fails_its_model_alone(
    store: store_pb2_grpc.StoreAsyncStub, folder: OllamaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = folder.weights(tokens=9)
    folder.install("registry.ollama.ai/library/leaving/latest", layer)
    leaving = folder.root / "blobs" / layer["digest"].replace(":", "-")
    content = leaving.read_bytes()
    is_regular = blobs.is_regular_within

    def removing(path: Path, within: Path) -> bool:
        answer = is_regular(path, within)
        if path == leaving:
            path.unlink(missing_ok=True)
        return answer

    monkeypatch.setattr(blobs, "is_regular_within", removing)
    assert {model.name for model in (await store.List(pb.ListRequest())).models} == {"leaving:latest", "Tiny:8B"}
    overwrite(str(leaving), content)
    reason = f"blob {layer['digest']} is missing"
    assert await refusal(store, "leaving") == (grpc.StatusCode.FAILED_PRECONDITION, reason)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError(2, "No such file"), grpc.StatusCode.FAILED_PRECONDITION),
        (PermissionError(13, "Permission denied"), grpc.StatusCode.INTERNAL),
    ],
)
async def test_weights_that_cannot_be_read_leave_the_listing_whole(
    store: store_pb2_grpc.StoreAsyncStub, error: OSError, code: grpc.StatusCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path, *, arrays: bool = False) -> Gguf:
        raise error

    monkeypatch.setattr(headers, "read_gguf", failing)
    assert [model.name for model in (await store.List(pb.ListRequest())).models] == ["Tiny:8B"]
    assert (await refusal(store, "tiny:8b"))[0] is code


async def test_the_process_ends_where_changes_are_looked_for_no_more(
    settings: Settings, private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(changes: Changes) -> None:
        raise ValueError("a mistake")

    monkeypatch.setenv("REMUDA_INSTANCE_DIR", str(private_folder))
    monkeypatch.setattr(Changes, "run", failing)
    with pytest.raises(ValueError, match="a mistake"):
        async with asyncio.timeout(DEADLINE_S):
            await main(settings, asyncio.Event())


async def test_a_replaced_file_is_read_anew(store: store_pb2_grpc.StoreAsyncStub, folder: OllamaFolder) -> None:
    overwrite((await resolve(store, "tiny:8b")).model_path, b"garbage")
    assert (await refusal(store, "tiny:8b"))[0] is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_crowd_that_lists_the_models_gets_one_answer(
    store: store_pb2_grpc.StoreAsyncStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, listed = 0, 0
    all_have_asked = asyncio.Event()
    get, summaries = SharedAnswer[pb.ListReply].get, Library.summaries

    async def counting_get(answer: SharedAnswer[pb.ListReply]) -> pb.ListReply:
        nonlocal asked
        asked += 1
        if asked == CROWD:
            all_have_asked.set()
        return await get(answer)

    async def counting_summaries(library: Library) -> list[pb.ModelSummary]:
        nonlocal listed
        listed += 1
        await all_have_asked.wait()
        return await summaries(library)

    monkeypatch.setattr(SharedAnswer, "get", counting_get)
    monkeypatch.setattr(Library, "summaries", counting_summaries)
    replies = await asyncio.gather(*(store.List(pb.ListRequest()) for _ in range(CROWD)))
    assert {reply.models[0].name for reply in replies} == {"Tiny:8B"}
    assert listed <= 2  # the listing that ran while they asked, and the next one


async def test_a_bundle_is_watched_until_one_of_its_files_changes(
    store: store_pb2_grpc.StoreAsyncStub, folder: OllamaFolder
) -> None:
    watch = store.Watch(pb.WatchModelsRequest())
    assert await anext(aiter(watch)) == pb.ModelsChanged()
    for path in (
        folder.root / "manifests/registry.ollama.ai/library/Tiny/8B",
        folder.root / "blobs" / folder.layer("system", b"Be brief.")["digest"].replace(":", "-"),
    ):
        bundle = await resolve(store, "Tiny:8B")
        assert bundle.watched
        content = path.read_bytes()
        path.unlink()
        assert await anext(aiter(watch)) == pb.ModelsChanged(full_names=[bundle.full_name])
        path.write_bytes(content)
    watch.cancel()


async def test_a_name_in_another_case_is_not_watched(store: store_pb2_grpc.StoreAsyncStub) -> None:
    assert not (await resolve(store, "tiny:8b")).watched


async def test_many_calls_at_once_agree(store: store_pb2_grpc.StoreAsyncStub) -> None:
    bundles = await asyncio.gather(*(resolve(store, "Tiny:8B") for _ in range(32)))
    assert len({bundle.SerializeToString(deterministic=True) for bundle in bundles}) == 1


async def test_the_embedded_model_is_imported_once(settings: Settings, tmp_path: Path) -> None:
    library = Library(settings)
    library.prepare()
    import_embedded(library, str(write_gguf(tmp_path / "cria.gguf")))
    bundle = await library.resolve("cria")
    assert bundle.name == "cria:latest"
    assert bundle.chat_template == pb.ChatTemplate(language=pb.TEMPLATE_LANGUAGE_JINJA, text=JINJA)
    assert bundle.details.parameter_size == "320"
    import_embedded(library, str(write_gguf(tmp_path / "other.gguf", tokens=20)))
    assert (await library.resolve("cria")).digest == bundle.digest


async def test_the_embedded_model_never_takes_a_users_name(
    settings: Settings, folder: OllamaFolder, tmp_path: Path
) -> None:
    mine = folder.install("registry.ollama.ai/library/Cria/latest", folder.weights(tokens=3))
    library = Library(settings)
    library.prepare()
    import_embedded(library, str(write_gguf(tmp_path / "cria.gguf")))
    assert (await library.resolve("cria")).digest == mine
    assert sorted(model.name for model in await library.summaries()) == ["Cria:latest", "Tiny:8B"]


@pytest.mark.parametrize("source", ["none", "/nowhere/cria.gguf", __file__])
async def test_without_an_embedded_model_the_store_goes_on(settings: Settings, source: str) -> None:
    library = Library(settings)
    library.prepare()
    import_embedded(library, source)
    assert [model.name for model in await library.summaries()] == ["Tiny:8B"]


def test_an_unusable_models_folder_ends_the_process_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file, not a folder")
    environment = os.environ | {"OLLAMA_MODELS": str(tmp_path / "models"), "REMUDA_INSTANCE_DIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "store"], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "models" in ended.stderr
