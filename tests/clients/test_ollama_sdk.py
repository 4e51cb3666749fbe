"""Ollama's own Python package against a real server."""

import asyncio

import ollama
import pytest
from support.serving import Server, until

QUESTION = {"role": "user", "content": "What is the capital of France?"}
GREEDY = {"temperature": 0, "num_predict": 24}


def test_chat_answers_with_counts_and_durations(native: ollama.Client) -> None:
    reply = native.chat("cria", [QUESTION], options=GREEDY)

    assert reply.message.role == "assistant"
    assert "Paris" in (reply.message.content or "")
    assert reply.done
    assert reply.done_reason == "stop"
    assert (reply.prompt_eval_count or 0) > 5
    assert (reply.eval_count or 0) > 1
    assert 0 < (reply.eval_duration or 0) < (reply.total_duration or 0)


def test_a_streamed_chat_says_the_same_as_a_whole_one(native: ollama.Client) -> None:
    whole = native.chat("cria", [QUESTION], options=GREEDY)
    chunks = list(native.chat("cria", [QUESTION], options=GREEDY, stream=True))

    assert len(chunks) > 1  # a gateway sends waiting pieces together
    assert "".join(chunk.message.content or "" for chunk in chunks) == whole.message.content
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].eval_count == whole.eval_count


def test_generate_continues_from_the_context_it_returned(native: ollama.Client) -> None:
    first = native.generate("cria", "Hello!", options=GREEDY)
    second = native.generate("cria", "What is Remuda?", context=first.context, options=GREEDY)

    assert first.context
    assert (second.prompt_eval_count or 0) > len(first.context)


def test_a_stop_string_ends_the_text_before_it(native: ollama.Client) -> None:
    options = GREEDY | {"stop": ["5"]}
    reply = native.generate("cria", "1 2 3 4", raw=True, options=options)

    assert "5" not in reply.response
    assert reply.done_reason == "stop"


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_with_no_surprise_picks_the_likeliest_tokens(native: ollama.Client, version: int) -> None:
    base = {"num_predict": 16, "seed": 7}
    random = base | {"temperature": 1.5, "top_k": 0, "top_p": 1.0}
    likeliest, free, steered = (
        native.generate("cria", "A story:", raw=True, options=options).response
        for options in (base | {"temperature": 0}, random, random | {"mirostat": version, "mirostat_tau": 0})
    )
    assert steered == likeliest != free


def test_a_seed_gives_the_same_text_again(native: ollama.Client) -> None:
    options = {"temperature": 1.5, "seed": 7, "num_predict": 16}
    texts = {native.generate("cria", "A story:", raw=True, options=options).response for _ in range(3)}
    others = native.generate("cria", "A story:", raw=True, options=options | {"seed": 8}).response

    assert len(texts) == 1
    assert others not in texts


def test_models_are_listed_and_shown(native: ollama.Client) -> None:
    models = native.list().models
    shown = native.show("cria")

    assert [model.model for model in models] == ["cria:latest"]
    assert models[0].details is not None
    assert models[0].details.format == "gguf"
    assert "completion" in (shown.capabilities or [])
    assert (shown.modelinfo or {})["llama.context_length"] >= 4096
    assert shown.template


def test_an_empty_prompt_loads_and_keep_alive_zero_unloads(native: ollama.Client) -> None:
    loaded = native.generate("cria", keep_alive=300)
    residents = native.ps().models
    unloaded = native.generate("cria", keep_alive=0)

    assert loaded.done_reason == "load"
    assert [resident.model for resident in residents] == ["cria:latest"]
    assert residents[0].size
    assert unloaded.done_reason == "unload"
    until(lambda: not native.ps().models)


def test_a_missing_model_is_a_404_with_ollamas_text(native: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="model 'nobody' not found") as raised:
        native.chat("nobody", [QUESTION])

    assert raised.value.status_code == 404


async def test_many_clients_at_once_get_their_own_answers(server: Server) -> None:
    client = ollama.AsyncClient(server.url)
    pairs = {"France": "Paris", "Japan": "Tokyo", "Italy": "Rome", "Spain": "Madrid"}

    async def ask(country: str) -> str:
        question = {"role": "user", "content": f"What is the capital of {country}?"}
        reply = await client.chat("cria", [question], options=GREEDY)
        return reply.message.content or ""

    answers = await asyncio.gather(*(ask(country) for country in pairs for _ in range(3)))
    await client._client.aclose()

    expected = [capital for capital in pairs.values() for _ in range(3)]
    assert all(capital in answer for capital, answer in zip(expected, answers, strict=True))
