"""What is told of the tokens that a model picked, and of those that it did not."""

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
    told = generate(native).logprobs or []

    assert told
    for one in told:
        top = [other.logprob for other in one.top_logprobs or []]
        assert len(top) == 5
        assert top == sorted(top, reverse=True)
        assert sum(map(math.exp, top)) <= 1 + 1e-5
        assert (one.token, one.logprob) == ((one.top_logprobs or [])[0].token, top[0])


def test_there_is_one_entry_for_each_token_of_the_text(native: ollama.Client) -> None:
    ended, cut = generate(native), generate(native, num_predict=3)
    stopped = generate(native, stop=[" Paris"])

    assert (ended.done_reason, len(ended.logprobs or [])) == ("stop", (ended.eval_count or 0) - 1)
    assert (cut.done_reason, len(cut.logprobs or [])) == ("length", cut.eval_count)
    for reply in (ended, cut, stopped):
        assert "".join(one.token for one in reply.logprobs or []) == reply.response


def test_chunks_tell_what_the_whole_reply_tells(native: ollama.Client) -> None:
    whole = native.chat("cria", QUESTION, logprobs=True, options=GREEDY)
    chunks = list(native.chat("cria", QUESTION, logprobs=True, options=GREEDY, stream=True))

    told = [one for chunk in chunks for one in chunk.logprobs or []]
    assert [one.token for one in told] == [one.token for one in whole.logprobs or []]
    assert [one.logprob for one in told] == pytest.approx([one.logprob for one in whole.logprobs or []], abs=0.05)
    assert all(one.top_logprobs is None for one in told)
    assert chunks[-1].logprobs is None


def test_a_format_does_not_change_the_distribution(native: ollama.Client) -> None:
    free = generate(native, num_predict=1).logprobs or []
    bound = native.generate(
        "cria", PROMPT, format={"enum": ["x"]}, logprobs=True, top_logprobs=5, options={**GREEDY, "num_predict": 1}
    )

    first = (bound.logprobs or [])[0]
    assert [one.token for one in first.top_logprobs or []] == [one.token for one in free[0].top_logprobs or []]
    assert first.logprob < free[0].logprob


def test_without_being_asked_nothing_is_told(native: ollama.Client) -> None:
    assert native.generate("cria", PROMPT, options=GREEDY).logprobs is None


def test_openais_client_reads_them(compatible: openai.OpenAI) -> None:
    reply = compatible.chat.completions.create(
        model="cria", messages=QUESTION, temperature=0, max_tokens=12, logprobs=True, top_logprobs=2
    )

    assert reply.choices[0].logprobs is not None
    told = reply.choices[0].logprobs.content or []
    assert "".join(one.token for one in told) == reply.choices[0].message.content
    for one in told:
        assert bytes(one.bytes or []).decode() == one.token
        assert one.top_logprobs[0].token == one.token
        assert len(one.top_logprobs) == 2


def test_openais_client_reads_them_in_a_stream(compatible: openai.OpenAI) -> None:
    stream = compatible.chat.completions.create(
        model="cria", messages=QUESTION, temperature=0, max_tokens=12, logprobs=True, stream=True
    )
    choices = [chunk.choices[0] for chunk in stream]

    told = [one for choice in choices if choice.logprobs for one in choice.logprobs.content or []]
    assert "".join(one.token for one in told) == "".join(choice.delta.content or "" for choice in choices)
    assert all(one.top_logprobs == [] for one in told)


def test_text_completions_do_not_tell(compatible: openai.OpenAI) -> None:
    reply = compatible.completions.create(model="cria", prompt=PROMPT, temperature=0, max_tokens=4, logprobs=3)

    assert reply.choices[0].logprobs is None
