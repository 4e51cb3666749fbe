"""Log probabilities of the tokens that a model picked, and of the alternatives."""

import math
from typing import Any

import ollama
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

PROMPT = "What is the capital of France?"
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": PROMPT}]
GREEDY = {"temperature": 0, "num_predict": 12}


def generate(client: ollama.Client, **options: Any) -> ollama.GenerateResponse:
    return client.generate("cria", PROMPT, logprobs=True, top_logprobs=5, options={**GREEDY, **options})


def test_probabilities_are_a_distribution_and_greedy_takes_the_best(native: ollama.Client) -> None:
    entries = generate(native).logprobs or []

    assert entries
    for entry in entries:
        top = [other.logprob for other in entry.top_logprobs or []]
        assert len(top) == 5
        assert top == sorted(top, reverse=True)
        assert sum(map(math.exp, top)) <= 1 + 1e-5
        assert (entry.token, entry.logprob) == ((entry.top_logprobs or [])[0].token, top[0])


def test_each_token_of_the_text_has_one_entry(native: ollama.Client) -> None:
    ended, cut = generate(native), generate(native, num_predict=3)
    stopped = generate(native, stop=[" Paris"])

    assert (ended.done_reason, len(ended.logprobs or [])) == ("stop", (ended.eval_count or 0) - 1)
    assert (cut.done_reason, len(cut.logprobs or [])) == ("length", cut.eval_count)
    for reply in (ended, cut, stopped):
        assert "".join(entry.token for entry in reply.logprobs or []) == reply.response


def test_chunks_have_the_entries_of_the_whole_reply(native: ollama.Client) -> None:
    whole = native.chat("cria", QUESTION, logprobs=True, options=GREEDY)
    chunks = list(native.chat("cria", QUESTION, logprobs=True, options=GREEDY, stream=True))

    entries = [entry for chunk in chunks for entry in chunk.logprobs or []]
    assert [entry.token for entry in entries] == [entry.token for entry in whole.logprobs or []]
    assert [entry.logprob for entry in entries] == pytest.approx(
        [entry.logprob for entry in whole.logprobs or []], abs=0.05
    )
    assert all(entry.top_logprobs is None for entry in entries)
    assert chunks[-1].logprobs is None


def test_a_format_does_not_change_the_distribution(native: ollama.Client) -> None:
    free = generate(native, num_predict=1).logprobs or []
    bound = native.generate(
        "cria", PROMPT, format={"enum": ["x"]}, logprobs=True, top_logprobs=5, options={**GREEDY, "num_predict": 1}
    )

    first = (bound.logprobs or [])[0]
    assert [entry.token for entry in first.top_logprobs or []] == [entry.token for entry in free[0].top_logprobs or []]
    assert first.logprob < free[0].logprob


def test_without_the_option_there_are_no_entries(native: ollama.Client) -> None:
    assert native.generate("cria", PROMPT, options=GREEDY).logprobs is None


def test_openais_client_reads_log_probabilities(compatible: openai.OpenAI) -> None:
    reply = compatible.chat.completions.create(
        model="cria", messages=QUESTION, temperature=0, max_tokens=12, logprobs=True, top_logprobs=2
    )

    assert reply.choices[0].logprobs is not None
    entries = reply.choices[0].logprobs.content or []
    assert "".join(entry.token for entry in entries) == reply.choices[0].message.content
    for entry in entries:
        assert bytes(entry.bytes or []).decode() == entry.token
        assert entry.top_logprobs[0].token == entry.token
        assert len(entry.top_logprobs) == 2


def test_openais_client_reads_log_probabilities_of_a_stream(compatible: openai.OpenAI) -> None:
    stream = compatible.chat.completions.create(
        model="cria", messages=QUESTION, temperature=0, max_tokens=12, logprobs=True, stream=True
    )
    choices = [chunk.choices[0] for chunk in stream]

    entries = [entry for choice in choices if choice.logprobs for entry in choice.logprobs.content or []]
    assert "".join(entry.token for entry in entries) == "".join(choice.delta.content or "" for choice in choices)
    assert all(entry.top_logprobs == [] for entry in entries)


def test_text_completions_have_no_log_probabilities(compatible: openai.OpenAI) -> None:
    reply = compatible.completions.create(model="cria", prompt=PROMPT, temperature=0, max_tokens=4, logprobs=3)

    assert reply.choices[0].logprobs is None
