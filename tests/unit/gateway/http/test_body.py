"""Request bodies are read as Go reads them."""

import pytest

from gateway.errors import ErrorKind, GatewayError
from gateway.http.body import parse_object
from gateway.ollama.field_types import LONGEST_KEEP_ALIVE
from gateway.ollama.requests import ChatRequest, GenerateRequest


def test_keys_match_in_any_case_and_null_leaves_the_default() -> None:
    body = parse_object(GenerateRequest, b'{"MODEL": "m", "Stream": null, "unknown": 1}')
    assert (body.model, body.stream) == ("m", True)


def test_only_the_first_json_value_counts() -> None:
    assert parse_object(GenerateRequest, b'{"model": "m"} and {more').model == "m"


@pytest.mark.parametrize("rest", [b"}", b"\xff", "é".encode(), b'"\\ud800"'])
def test_what_follows_the_first_json_value_may_be_anything(rest: bytes) -> None:
    assert parse_object(GenerateRequest, ' {"model": "mé"} '.encode() + rest).model == "mé"


def test_a_body_of_null_is_an_empty_request() -> None:
    assert parse_object(GenerateRequest, b"null").model == ""


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "missing request body"),
        (b" \n", "missing request body"),
        (b"}", "invalid character '}' looking for beginning of value"),
        (b'{"model": ', "unexpected EOF"),
        (b'{"prompt": NaN}', "invalid character 'N' looking for beginning of value"),
        (b"[" * 100_000, "exceeded max depth"),
        (b'{"model": 1}', "json: cannot unmarshal number into Go struct field GenerateRequest.model of type string"),
        (b'{"stream": "no"}', "json: cannot unmarshal string into Go struct field GenerateRequest.stream of type bool"),
        (b"[1]", "json: cannot unmarshal array into Go value of type api.GenerateRequest"),
        (b'{"keep_alive": "10"}', 'time: missing unit in duration "10"'),
        (b'{"keep_alive": true}', "Unsupported type: 'bool'"),
        (b'{"images": ["*"]}', "illegal base64 data at input byte 0"),
        (
            b'{"think": "deep"}',
            'invalid think value: "deep" (must be "high", "medium", "low", "max", true, or false)',
        ),
    ],
)
def test_a_bad_body_is_refused_in_the_words_of_go(body: bytes, text: str) -> None:
    with pytest.raises(GatewayError) as caught:
        parse_object(GenerateRequest, body)
    assert (caught.value.kind, caught.value.message) == (ErrorKind.INVALID, text)


def test_content_that_is_a_list_is_refused() -> None:
    with pytest.raises(GatewayError, match=r"field ChatRequest\.messages\.content of type string"):
        parse_object(ChatRequest, b'{"messages": [{"role": "user", "content": [{"type": "text"}]}]}')


def test_half_a_utf16_pair_becomes_a_replacement_character() -> None:
    body = parse_object(GenerateRequest, b'{"prompt": "a\\ud800b"}')
    assert body.prompt.encode() == "a\ufffdb".encode()


@pytest.mark.parametrize(
    ("value", "nanoseconds"),
    [("2", 2_000_000_000), ("0.5", 500_000_000), ('"1h30m"', 5_400_000_000_000), ("-1", -1), ('"-1m"', -1), ("0", 0)],
)
def test_keep_alive_takes_seconds_and_durations(value: str, nanoseconds: int) -> None:
    assert parse_object(GenerateRequest, b'{"keep_alive": %b}' % value.encode()).keep_alive_ns == nanoseconds


@pytest.mark.parametrize("value", ["1e30", "1e308", "1" + "0" * 400, '"2562047h"', "1e400"])
def test_the_longest_keep_alive_is_290_years(value: str) -> None:
    body = b'{"keep_alive": %b}' % value.encode()
    assert parse_object(GenerateRequest, body).keep_alive_ns == LONGEST_KEEP_ALIVE < 1 << 63


def test_only_ollamas_parts_of_a_tool_schema_are_kept() -> None:
    tool = b"""{"type": "function", "function": {"name": "f", "strict": true, "parameters": {
        "type": "object", "additionalProperties": false, "required": ["b"],
        "properties": {"b": {"type": ["string"], "title": "B", "default": 1}, "a": {"enum": [1, 2]}}}}}"""
    (kept,) = parse_object(ChatRequest, b'{"tools": [%b]}' % tool).generation().tools
    assert kept == {
        "type": "function",
        "function": {
            "name": "f",
            "parameters": {
                "type": "object",
                "required": ["b"],
                "properties": {"b": {"type": "string"}, "a": {"enum": [1, 2]}},
            },
        },
    }
    assert list(kept["function"]["parameters"]["properties"]) == ["b", "a"]
