"""Tool calls and thoughts of scripted models, as the SDKs read them."""

from collections.abc import Generator

import ollama
import openai
import pytest
from support.models_folder import install_script, models_folder
from support.serving import Server, running_server, short_folder

CALLS = 'Sure. <tool_call>{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}</tool_call>'
THINKS = "<think>Easy one: it must be</think>Paris, of course."
QUESTION = {"role": "user", "content": "?"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    with short_folder() as folder:
        models = models_folder(folder)
        install_script(models, "caller", CALLS)
        install_script(models, "thinker", THINKS)
        with running_server(folder) as server:
            yield server


def test_ollamas_client_gets_a_tool_call_as_an_object(native: ollama.Client) -> None:
    reply = native.chat("caller", [QUESTION], tools=[WEATHER])

    assert (reply.message.content or "").strip() == "Sure."
    calls = reply.message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("get_weather", {"city": "Paris", "days": 3})
    ]
    assert reply.done_reason == "stop"


def test_openais_client_gets_a_tool_call_as_text_and_its_reason(compatible: openai.OpenAI) -> None:
    reply = compatible.chat.completions.create(model="caller", messages=[QUESTION], tools=[WEATHER])  # type: ignore[list-item]

    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or []
    assert call.type == "function"
    assert call.function.arguments == '{"city":"Paris","days":3}'


def test_without_tools_the_same_text_is_no_call(native: ollama.Client) -> None:
    reply = native.chat("caller", [QUESTION])

    assert "<tool_call>" in (reply.message.content or "")
    assert not reply.message.tool_calls


def test_thoughts_and_answer_are_separated(native: ollama.Client) -> None:
    whole = native.chat("thinker", [QUESTION])
    chunks = list(native.chat("thinker", [QUESTION], stream=True))

    assert whole.message.thinking == "Easy one: it must be"
    assert whole.message.content == "Paris, of course."
    assert "".join(chunk.message.thinking or "" for chunk in chunks) == whole.message.thinking
    assert "".join(chunk.message.content or "" for chunk in chunks) == whole.message.content


def test_openais_client_reads_thoughts_as_reasoning(compatible: openai.OpenAI) -> None:
    reply = compatible.chat.completions.create(model="thinker", messages=[QUESTION])  # type: ignore[list-item]

    assert reply.choices[0].message.content == "Paris, of course."
    assert getattr(reply.choices[0].message, "reasoning", None) == "Easy one: it must be"
