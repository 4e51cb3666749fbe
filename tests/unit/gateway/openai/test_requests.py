"""What the bodies of `/v1/chat/completions` and `/v1/completions` ask for, in native terms."""

import base64
import json
from typing import Any

import pytest

from gateway.errors import ErrorKind, GatewayError
from gateway.generation.request import Generation, Kind, Message, ToolCall
from gateway.http.body import parse_object
from gateway.openai.chat.request import ChatCompletionRequest
from gateway.openai.completions.request import CompletionRequest

GIF = {"type": "image_url", "image_url": "data:image/gif;base64,"}
USER = {"role": "user", "content": "hi"}
PIXEL = base64.b64encode(b"\x89PNG").decode()
CALL = {"id": "call_1", "index": 1, "type": "function", "function": {"name": "add", "arguments": '{"b":2,"a":1}'}}


def chat(**body: Any) -> Generation:
    content = {"model": "cria", "messages": [USER], **body}
    return parse_object(ChatCompletionRequest, json.dumps(content).encode()).generation()


def complete(**body: Any) -> Generation:
    content = {"model": "cria", "prompt": "hi", **body}
    return parse_object(CompletionRequest, json.dumps(content).encode()).generations(1)[0]


def messages_of(*messages: dict[str, Any]) -> list[Message]:
    return list(chat(messages=messages).messages)


def refusal(**body: Any) -> tuple[ErrorKind, str]:
    with pytest.raises(GatewayError) as caught:
        chat(**body)
    return caught.value.kind, caught.value.message


def test_a_plain_chat_takes_openais_temperature_and_top_p() -> None:
    generation = chat()
    assert (generation.kind, generation.model) == (Kind.CHAT, "cria")
    assert generation.messages == (Message("user", "hi"),)
    assert generation.options == {"temperature": 1.0, "top_p": 1.0}
    assert (generation.think, generation.format, generation.tools) == (None, None, ())


def test_given_options_go_through_and_the_others_have_no_say() -> None:
    given = {"temperature": 0, "top_p": 0.5, "seed": 7, "frequency_penalty": 0.1, "presence_penalty": -0.1}
    ignored = {"max_completion_tokens": 3, "n": 4, "tool_choice": "none", "logit_bias": {"1": 2}, "user": "me"}
    options = chat(max_tokens=9, stop="END", **given, **ignored).options
    assert options == {**given, "num_predict": 9, "stop": ["END"]}


def test_keys_match_in_any_case_and_null_is_the_default() -> None:
    body = b'{"Model":"cria","MESSAGES":[{"Role":"USER","content":"hi"}],"temperature":null,"stop":null,"tools":null}'
    generation = parse_object(ChatCompletionRequest, body).generation()
    assert generation.messages == (Message("user", "hi"),)
    assert generation.options == {"temperature": 1.0, "top_p": 1.0}


def test_stop_strings_of_other_types_are_skipped_in_chats_and_refused_in_completions() -> None:
    assert chat(stop=["a", 1, None, "b"]).options["stop"] == ["a", "b"]
    assert complete(stop=["a"]).options["stop"] == ["a"]
    with pytest.raises(GatewayError, match="invalid type for 'stop' field: float64"):
        complete(stop=["a", 1])


@pytest.mark.parametrize(
    ("response_format", "native"),
    [
        ({"type": "json_object"}, "json"),
        ({"type": " JSON_Object "}, "json"),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}, {"type": "object"}),
        ({"type": "text"}, None),
        ({"type": "grammar"}, None),
        (None, None),
    ],
)
def test_response_formats(response_format: Any, native: Any) -> None:
    assert chat(response_format=response_format).format == native


@pytest.mark.parametrize(
    ("body", "think"),
    [
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "minimal"}, "low"),
        ({"reasoning_effort": "high"}, "high"),
        ({"reasoning_effort": "xhigh"}, "max"),
        ({"reasoning_effort": ""}, None),
        ({"reasoning": {"effort": "medium"}, "reasoning_effort": "high"}, "medium"),
        ({"reasoning": {}, "reasoning_effort": "high"}, None),
    ],
)
def test_reasoning_effort_sets_thinking(body: dict[str, Any], think: Any) -> None:
    assert chat(**body).think == think


def test_tools_keep_the_parts_that_templates_see() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
    (tool,) = chat(tools=[{"type": "function", "function": {"name": "weather", "parameters": schema}}]).tools
    assert tool["function"]["parameters"] == {"type": "object", "properties": {"city": {"type": "string"}}}


def test_content_parts_become_one_message_each() -> None:
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image_url", "image_url": f"data:;base64,{PIXEL}"},
        {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
    ]
    assert messages_of({"role": "user", "content": parts}) == [
        Message("user", "what is this?"),
        *[Message("user", images=(b"\x89PNG",))] * 3,
    ]


def test_calls_and_their_results_carry_names_and_ids() -> None:
    calling = {"role": "assistant", "content": None, "reasoning": "add them", "tool_calls": [CALL]}
    result = {"role": "tool", "content": "3", "tool_call_id": "call_1"}
    call = ToolCall("add", {"b": 2, "a": 1}, "call_1", 1)
    assert messages_of(USER, calling, result)[1:] == [
        Message("assistant", thinking="add them", tool_calls=(call,)),
        Message("tool", "3", tool_name="add", tool_call_id="call_1"),
    ]
    assert list(messages_of(calling)[0].tool_calls[0].arguments) == ["b", "a"]


def test_a_tools_own_name_wins_and_an_unknown_id_gives_none() -> None:
    named, unknown = (
        {"role": "tool", "content": "", "name": "mine"},
        {"role": "tool", "content": "", "tool_call_id": "x"},
    )
    assert [message.tool_name for message in messages_of(named, unknown)] == ["mine", ""]


def test_calls_go_with_the_last_part_and_ids_of_lists_are_lost() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    first, last = messages_of({"role": "assistant", "content": parts, "tool_calls": [CALL]})
    assert (first.tool_calls, last.content, len(last.tool_calls)) == ((), "b", 1)
    (result,) = messages_of({"role": "tool", "content": parts[:1], "tool_call_id": "call_1"})
    assert result == Message("tool", "a")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "user"}, "invalid message content type: <nil>"),
        ({"role": "user", "content": 1}, "invalid message content type: float64"),
        ({"role": "user", "content": {}}, "invalid message content type: map[string]interface {}"),
        ({"role": "user", "content": [{"type": "video"}]}, "invalid message format"),
        ({"role": "user", "content": ["text"]}, "invalid message format"),
        ({"role": "user", "content": [{"type": "text"}]}, "invalid message format"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": "https://example.com/a.png"}]},
            "image URLs are not currently supported, please use base64 encoded data instead",
        ),
        (
            {"role": "user", "content": [GIF]},
            "invalid image input",
        ),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "data:;base64,*"}]}, "invalid image input"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": "x"}]}, "invalid input_audio format"),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
            "invalid input_audio format: missing data",
        ),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]},
            "invalid tool call arguments",
        ),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, "invalid tool call arguments"),
    ],
)
def test_messages_without_a_native_form_are_refused(message: dict[str, Any], text: str) -> None:
    assert refusal(messages=[message]) == (ErrorKind.INVALID, text)


def test_a_chat_needs_messages_and_a_known_effort() -> None:
    assert refusal(messages=[]) == (ErrorKind.INVALID, "[] is too short - 'messages'")
    assert refusal(messages=None) == (ErrorKind.INVALID, "[] is too short - 'messages'")
    choices = '"minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none"'
    assert refusal(reasoning_effort="much") == (
        ErrorKind.INVALID,
        f'invalid reasoning value: "much" (must be {choices})',
    )


@pytest.mark.parametrize("body", [{"stream": "no"}, {"messages": [{"tool_calls": [{"function": {"arguments": {}}}]}]}])
def test_wrong_types_are_refused(body: dict[str, Any]) -> None:
    assert refusal(**body)[0] is ErrorKind.INVALID


def test_completions_always_send_penalties_and_take_zero_top_p_for_none() -> None:
    generation = complete(top_p=0, suffix="end", max_tokens=5, logprobs=3)
    assert (generation.kind, generation.prompt, generation.suffix) == (Kind.GENERATE, "hi", "end")
    penalties = {"frequency_penalty": 0.0, "presence_penalty": 0.0}
    assert generation.options == {"temperature": 1.0, "top_p": 1.0, "num_predict": 5, **penalties}
    assert not generation.logprobs


@pytest.mark.parametrize(
    ("prompt", "texts", "tokens"),
    [
        ("a", ["a"], [()]),
        (["a", "b"], ["a", "b"], [(), ()]),
        ([1, 2], [""], [(1, 2)]),
        ([[1], [2, 3]], ["", ""], [(1,), (2, 3)]),
        (["a", [7]], ["a", ""], [(), (7,)]),
    ],
)
def test_a_completion_has_one_generation_for_each_prompt(
    prompt: Any, texts: list[str], tokens: list[tuple[int, ...]]
) -> None:
    body = parse_object(CompletionRequest, json.dumps({"model": "cria", "prompt": prompt}).encode())
    generations = body.generations(2)
    assert [generation.prompt for generation in generations] == texts
    assert [generation.prompt_tokens for generation in generations] == tokens
    assert [generation.raw for generation in generations] == [bool(ids) for ids in tokens]


@pytest.mark.parametrize("prompt", [1, {}, True, [], [[]], ["a", 1], [1, "a"], [1.5], [[1, [2]]], [True]])
def test_other_forms_of_a_prompt_are_refused(prompt: Any) -> None:
    with pytest.raises(GatewayError, match=r"^prompt must be a string") as caught:
        complete(prompt=prompt)
    assert caught.value.kind is ErrorKind.INVALID


def test_more_prompts_than_allowed_and_tokens_with_a_suffix_are_refused() -> None:
    with pytest.raises(GatewayError, match=r"^more than 1 prompts"):
        complete(prompt=["a", "b"])
    with pytest.raises(GatewayError, match=r"^suffix needs a prompt of text"):
        complete(prompt=[1, 2], suffix="b")
