"""OpenAI's own Python package against a real server."""

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the capital of France?"}]


def test_a_chat_completion_has_text_reason_and_usage(compatible: openai.OpenAI) -> None:
    reply = compatible.chat.completions.create(model="cria", messages=QUESTION, temperature=0, max_tokens=24)

    assert "Paris" in (reply.choices[0].message.content or "")
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_streamed_chat_completion_ends_with_its_usage(compatible: openai.OpenAI) -> None:
    stream = compatible.chat.completions.create(
        model="cria", messages=QUESTION, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "Paris" in text
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 1


def test_a_reply_cut_by_the_token_limit_ends_with_length(compatible: openai.OpenAI) -> None:
    reply = compatible.chat.completions.create(
        model="cria", messages=[{"role": "user", "content": "Count from 1 to 20."}], temperature=0, max_tokens=4
    )

    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 4


def test_a_text_completion_works_whole_and_streamed(compatible: openai.OpenAI) -> None:
    whole = compatible.completions.create(model="cria", prompt="Hello!", temperature=0, max_tokens=16)
    stream = compatible.completions.create(model="cria", prompt="Hello!", temperature=0, max_tokens=16, stream=True)

    assert whole.choices[0].text
    assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text


def test_models_are_listed_and_retrieved(compatible: openai.OpenAI) -> None:
    assert [model.id for model in compatible.models.list()] == ["cria:latest"]
    assert compatible.models.retrieve("cria").id == "cria"


def test_a_missing_model_is_openais_not_found(compatible: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="model 'nobody' not found"):
        compatible.chat.completions.create(model="nobody", messages=QUESTION)


def test_no_messages_are_openais_bad_request(compatible: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"\[\] is too short - 'messages'"):
        compatible.chat.completions.create(model="cria", messages=[])
