"""Answers keep to a schema or a grammar, whatever else the model would say."""

import json
from collections.abc import Generator
from typing import Annotated, Any, Literal

import httpx
import ollama
import openai
import pytest
from pydantic import BaseModel, Field, TypeAdapter
from support.models_folder import install_script, models_folder
from support.serving import Server, running_server, short_folder

QUESTION = {"role": "user", "content": "?"}
CITIES = ["Paris", "Rome"]
CITY = {"type": "object", "properties": {"city": {"enum": CITIES}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
CALL = '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}}</tool_call>'
Short = Annotated[str, Field(max_length=8)]


class Person(BaseModel):
    name: Short
    age: Annotated[int, Field(ge=0, le=120)]
    pet: Literal["cat", "dog"] | None = None


class House(BaseModel):
    owner: Person
    rooms: Annotated[list[Annotated[str, Field(pattern="^(hall|den)$")]], Field(min_length=1, max_length=3)]


class Choice(BaseModel):
    pick: Literal["red", "green"] | Annotated[int, Field(ge=1, le=9)]


Couple = Annotated[list[Person], Field(max_length=2)]


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    """A server with three scripted models, and cria."""
    with short_folder() as folder:
        models = models_folder(folder)
        install_script(models, "obliging", '<think>Easy one: it must be</think>"Rome"')
        install_script(models, "rambling", "<think> Hm, Paris or Rome? </think>\nParis, of course.")
        install_script(models, "calling", CALL)
        with running_server(folder) as server:
            yield server


def options(temperature: float) -> dict[str, Any]:
    return {"temperature": temperature, "seed": 7, "num_predict": 200}


@pytest.mark.parametrize("temperature", [0.0, 0.8, 2.0])
@pytest.mark.parametrize("kind", [Person, House, Choice, Couple, Literal["yes", "no"]])
def test_an_answer_keeps_to_its_schema(native: ollama.Client, kind: Any, temperature: float) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    reply = native.generate("cria", "Tell me.", format=adapter.json_schema(), options=options(temperature))

    assert reply.done_reason == "stop"
    adapter.validate_json(reply.response, strict=True)
    assert "\n" not in reply.response


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_json_gives_an_object(native: ollama.Client, temperature: float) -> None:
    prompt = "Give me a city and its country as JSON."
    reply = native.generate("cria", prompt, format="json", options=options(temperature))

    assert reply.done_reason == "stop"
    assert isinstance(json.loads(reply.response), dict)


def test_a_streamed_answer_is_the_same(native: ollama.Client) -> None:
    schema = Person.model_json_schema()
    whole = native.generate("cria", "Tell me.", format=schema, options=options(0))
    parts = native.generate("cria", "Tell me.", format=schema, options=options(0), stream=True)

    assert "".join(part.response for part in parts) == whole.response


def test_thoughts_come_before_an_answer_that_keeps_to_its_schema(native: ollama.Client) -> None:
    obliging = native.chat("obliging", [QUESTION], format={"enum": CITIES})
    rambling = native.chat("rambling", [QUESTION], format={"enum": CITIES}, options=options(0))

    assert (obliging.message.thinking, obliging.message.content) == ("Easy one: it must be", '"Rome"')
    assert rambling.message.thinking == "Hm, Paris or Rome?"
    assert json.loads(rambling.message.content or "") in CITIES


def test_a_model_that_may_not_think_answers_at_once(native: ollama.Client) -> None:
    reply = native.chat("rambling", [QUESTION], format={"enum": CITIES}, think=False)

    assert not reply.message.thinking
    assert json.loads(reply.message.content or "") in CITIES


def test_a_tool_may_be_called_where_the_answer_has_a_schema(native: ollama.Client) -> None:
    reply = native.chat("calling", [QUESTION], tools=[WEATHER], format=CITY)

    calls = reply.message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in calls] == [("get_weather", {"city": "Rome"})]
    unable = native.chat("calling", [QUESTION], format={"enum": CITIES}, think=False)
    assert json.loads(unable.message.content or "") in CITIES


def test_openais_client_parses_its_response_format(compatible: openai.OpenAI) -> None:
    reply = compatible.chat.completions.parse(
        model="cria",
        messages=[QUESTION],
        response_format=Choice,
        max_tokens=60,
        temperature=0,  # type: ignore[list-item]
    )

    assert isinstance(reply.choices[0].message.parsed, Choice)


def test_openais_client_gets_any_object(compatible: openai.OpenAI) -> None:
    reply = compatible.chat.completions.create(
        model="cria",
        messages=[{"role": "user", "content": "Give me a city and its country as JSON."}],
        response_format={"type": "json_object"},
        max_tokens=200,
        temperature=0,
    )

    assert isinstance(json.loads(reply.choices[0].message.content or ""), dict)


def test_an_answer_keeps_to_its_grammar(server: Server) -> None:
    body = {"prompt": "?", "grammar": 'root ::= ("yes" | "no") "!"{2}', "options": options(1.5)}
    reply = httpx.post(f"{server.url}/api/generate", json={"model": "cria", "stream": False} | body, timeout=20)

    assert reply.json()["response"] in ("yes!!", "no!!")


def test_a_bad_schema_is_refused_in_the_dialect_of_the_surface(
    native: ollama.Client, compatible: openai.OpenAI
) -> None:
    with pytest.raises(ollama.ResponseError, match="invalid JSON schema in format: Invalid type: strnig") as refused:
        native.chat("cria", [QUESTION], format={"type": "strnig"})
    assert refused.value.status_code == 400

    wrong: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "strnig"}}}
    with pytest.raises(openai.BadRequestError, match="Invalid type: strnig") as raised:
        compatible.chat.completions.create(model="cria", messages=[QUESTION], response_format=wrong)  # type: ignore[list-item]
    assert raised.value.type == "invalid_request_error"
