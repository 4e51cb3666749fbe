"""A body with many wrong entries costs no more than its size: validation ends at the first."""

import tracemalloc

import pytest
from pydantic import BaseModel

from gateway.errors import GatewayError
from gateway.http.body import MAX_ENTRIES, parse_object
from gateway.ollama.requests import ChatRequest, GenerateRequest
from gateway.openai.chat.request import ChatCompletionRequest

ENTRIES = 100_000
WRONG = b"[%b]" % b",".join([b"1"] * ENTRIES)
NAMES = b"{%b}" % b",".join(b'"%d":1' % number for number in range(ENTRIES))
TOOL = b'[{"function": {"parameters": {"properties": %b}}}]'


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (ChatRequest, b"messages", WRONG),
        (ChatRequest, b"tools", WRONG),
        (ChatRequest, b"messages", b'[{"tool_calls": %b}]' % WRONG),
        (ChatRequest, b"tools", TOOL % NAMES),
        (GenerateRequest, b"images", WRONG),
        (GenerateRequest, b"context", WRONG.replace(b"1", b'""')),
        (ChatCompletionRequest, b"messages", WRONG),
        (ChatCompletionRequest, b"tools", WRONG),
    ],
)
def test_validation_ends_at_the_first_wrong_entry(model: type[BaseModel], field: bytes, value: bytes) -> None:
    body = b'{"model": "m", "%b": %b}' % (field, value)
    tracemalloc.start()
    with pytest.raises(GatewayError, match="cannot unmarshal"):
        parse_object(model, body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 * ENTRIES + len(body)


@pytest.mark.parametrize("model", [ChatRequest, ChatCompletionRequest])
def test_a_list_of_objects_has_a_bound(model: type[BaseModel]) -> None:
    body = b'{"model": "m", "messages": [%b{}]}' % (b"{}," * MAX_ENTRIES)
    with pytest.raises(GatewayError, match=r"^messages may have 65536 entries at most$"):
        parse_object(model, body)


def test_a_context_may_be_longer_than_a_list_of_objects() -> None:
    body = b'{"model": "m", "context": [%b1]}' % (b"1," * MAX_ENTRIES)
    assert len(parse_object(GenerateRequest, body).context or ()) == MAX_ENTRIES + 1
