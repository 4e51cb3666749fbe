"""A schema whose references lead deeper and deeper is refused: following it would overflow a stack."""

from typing import Any

import pytest

from gateway.errors import GatewayError, overloaded
from gateway.generation.request import Generation, Kind
from gateway.grammar.answer import AnswerGrammars
from gateway.grammar.depth import MAX_LEVELS, levels_of
from remuda.settings import Settings
from remuda.threads import Threads

MANY = 2 * MAX_LEVELS


def chain(count: int, *, back: bool = False) -> dict[str, Any]:
    """Lists in lists, each a definition. `back`: the innermost may be the outermost again."""
    lists: dict[str, Any] = {
        str(number): {"type": "array", "items": {"$ref": f"#/$defs/{number + 1}"}} for number in range(count)
    }
    last = {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/0"}]} if back else {"type": "string"}
    return {"$ref": "#/$defs/0", "$defs": {**lists, str(count): last}}


def chain_of_names(count: int) -> dict[str, Any]:
    """The same with names that are no pointers."""
    lists = [
        {"$id": f"http://x/{number}", "type": "array", "items": {"$ref": f"http://x/{number + 1}"}}
        for number in range(count)
    ]
    return {"$ref": "http://x/0", "$defs": dict(zip(map(str, range(count)), lists, strict=True))}


async def refusal(schema: dict[str, Any]) -> str:
    with pytest.raises(GatewayError) as raised:
        await AnswerGrammars(Settings(), Threads("schemas", 1, 1, overloaded)).rules(
            Generation(Kind.CHAT, "cria", format=schema)
        )
    return raised.value.message


@pytest.mark.parametrize("schema", [chain(MANY), chain(MANY, back=True), chain_of_names(MANY)])
async def test_long_ways_through_references_are_refused(schema: dict[str, Any]) -> None:
    assert await refusal(schema) == "invalid JSON schema in format: it is nested too deeply"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/0", "$defs": {"0": {"type": "object", "properties": {"a": {"$ref": "#/$defs/0"}}}}},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {
            "type": "array",
            "prefixItems": [{"$ref": f"#/$defs/{number}"} for number in range(MANY)],
            "$defs": {str(number): {"type": "object", "properties": {"a": {}}} for number in range(MANY)},
        },
    ],
    ids=["tree", "root", "many"],
)
async def test_many_references_and_circles_are_taken(schema: dict[str, Any]) -> None:
    assert await AnswerGrammars(Settings(), Threads("schemas", 1, 1, overloaded)).rules(
        Generation(Kind.CHAT, "cria", format=schema)
    )


def test_levels_are_counted_through_references() -> None:
    assert levels_of({"type": "string"}) == 1
    assert levels_of({"items": {"type": "string"}}) == 2
    assert levels_of(chain(10)) == 4 + 2 * 10 + 1
