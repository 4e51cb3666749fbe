"""Embeddings of a real server through the SDKs of Ollama and OpenAI."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import gguf
import httpx
import ollama
import openai
import pytest
from support.embedding_models import CONTEXT, WIDTH, write_bert, write_llama_embedder
from support.models_folder import install_gguf, models_folder
from support.serving import Server, running_server, short_folder

TEXTS = ["the horse runs", "a herd over the hill", "rope!"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with three embedding models and cria, which generates."""
    with short_folder() as folder:
        models = models_folder(folder)
        for name, path in write_models(folder):
            install_gguf(models, name, path.read_bytes())
        with running_server(folder) as server:
            yield server


def write_models(folder: Path) -> Iterator[tuple[str, Path]]:
    yield "bert", write_bert(folder / "bert.gguf")
    yield "last", write_llama_embedder(folder / "last.gguf", pooling=gguf.PoolingType.LAST)
    yield "rank", write_bert(folder / "rank.gguf", pooling=gguf.PoolingType.RANK)


def length(vector: Sequence[float]) -> float:
    return math.hypot(*vector)


@pytest.mark.parametrize("model", ["bert", "last", "cria"])
def test_a_list_gives_the_same_vectors_as_its_texts_alone(native: ollama.Client, model: str) -> None:
    together = native.embed(model, TEXTS)
    alone = [native.embed(model, text) for text in TEXTS]
    assert len(together.embeddings) == 3
    for vector, reply in zip(together.embeddings, alone, strict=True):
        assert vector == pytest.approx(reply.embeddings[0], abs=2e-3)
        assert length(vector) == pytest.approx(1, abs=1e-5)
    assert together.prompt_eval_count == sum(reply.prompt_eval_count or 0 for reply in alone)
    assert (together.total_duration or 0) > (together.load_duration or 0) > 0


def test_vectors_can_be_shortened_and_stay_normalised(native: ollama.Client) -> None:
    whole, short = native.embed("bert", TEXTS[0]), native.embed("bert", TEXTS[0], dimensions=8)
    scale = length(whole.embeddings[0][:8])
    assert short.embeddings[0] == pytest.approx([value / scale for value in whole.embeddings[0][:8]], abs=1e-4)
    assert len(native.embed("bert", TEXTS[0], dimensions=5000).embeddings[0]) == WIDTH


@pytest.mark.parametrize("model", ["bert", "last"])
def test_a_text_that_is_too_long_is_cut_or_refused(native: ollama.Client, model: str) -> None:
    text = "hill " * 2 * CONTEXT
    assert native.embed(model, text).prompt_eval_count == CONTEXT
    assert native.embed(model, text, options={"num_ctx": 32}).prompt_eval_count == 32
    with pytest.raises(ollama.ResponseError, match="the input length exceeds the context length") as refused:
        native.embed(model, ["hill", text], truncate=False)
    assert refused.value.status_code == 400


def test_the_old_route_gives_one_vector_as_the_model_computed_it(native: ollama.Client) -> None:
    old, new = native.embeddings("bert", TEXTS[0]).embedding, native.embed("bert", TEXTS[0]).embeddings[0]
    assert length(old) != pytest.approx(1, abs=0.01)
    assert [value / length(old) for value in old] == pytest.approx(new, abs=1e-4)


def test_an_empty_input_loads_the_model(native: ollama.Client, server: Server) -> None:
    reply = httpx.post(f"{server.url}/api/embed", json={"model": "last", "input": "", "keep_alive": "1h"})
    assert reply.json() == {"model": "last", "embeddings": []}
    assert "last:latest" in [model.model for model in native.ps().models]


def test_an_embedding_model_does_not_chat(native: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match='"bert" does not support chat'):
        native.chat("bert", [{"role": "user", "content": "Hello!"}])


def test_a_reranking_model_is_refused(native: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="reranking is not implemented yet"):
        native.embed("rank", "hill")


def test_many_texts_come_back_in_order(native: ollama.Client) -> None:
    texts = [TEXTS[number % 3] + " hill" * (number % 7) for number in range(300)]
    vectors = native.embed("bert", texts).embeddings
    assert len(vectors) == 300
    for number in range(21, 300):
        assert vectors[number] == pytest.approx(vectors[number % 21], abs=2e-3)


def test_generations_and_embeddings_of_one_model_share_its_worker(native: ollama.Client, server: Server) -> None:
    stream = native.generate("cria", "Hello!", stream=True, options={"num_predict": 8, "temperature": 0})
    next(iter(stream))
    native.embed("cria", TEXTS)
    assert [part.done for part in stream][-1]
    assert [title for title in server.processes() if "cria" in title] == ["remuda worker cria:latest cpu"]


def test_the_openai_package_reads_floats_and_base64(compatible: openai.OpenAI, native: ollama.Client) -> None:
    expected = native.embed("bert", TEXTS).embeddings
    packed = compatible.embeddings.create(model="bert", input=TEXTS)  # the SDK requests base64 by default
    plain = compatible.embeddings.create(model="bert", input=TEXTS, encoding_format="float", dimensions=8)
    assert [entry.index for entry in packed.data] == [0, 1, 2]
    for entry, short, vector in zip(packed.data, plain.data, expected, strict=True):
        assert entry.embedding == pytest.approx(vector, abs=1e-6)
        assert len(short.embedding) == 8
    assert packed.usage.prompt_tokens == packed.usage.total_tokens == 5 + 7 + 4


def test_an_empty_text_in_a_list_is_a_text(native: ollama.Client, compatible: openai.OpenAI) -> None:
    alone = compatible.embeddings.create(model="bert", input="").data
    assert native.embed("bert", ["hill", ""]).embeddings[1] == pytest.approx(alone[0].embedding, abs=2e-3)


def test_an_unknown_model_is_openais_not_found(compatible: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="try pulling it first"):
        compatible.embeddings.create(model="nobody", input="x")
