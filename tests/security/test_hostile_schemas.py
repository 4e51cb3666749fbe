"""Schemas that would overflow a stack, or hold up a process or a worker, are refused."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.generation.request import Generation, Kind
from gateway.grammar.answer import AnswerGrammars
from remuda.settings import Settings

MANY = 2000


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
        for number in range(count - 1)
    ]
    lists.append({"$id": f"http://x/{count - 1}", "type": "string"})
    return {"$ref": "http://x/0", "$defs": dict(zip(map(str, range(count)), lists, strict=True))}


@asynccontextmanager
async def open_grammars(**variables: Any) -> AsyncGenerator[AnswerGrammars]:
    grammars = AnswerGrammars(Settings(REMUDA_MAX_SCHEMA=str(1 << 20), **variables))
    yield grammars
    await grammars.close()


@pytest.fixture
async def grammars() -> AsyncGenerator[AnswerGrammars]:
    async with open_grammars() as grammars:
        yield grammars


@pytest.fixture
async def patient() -> AsyncGenerator[AnswerGrammars]:
    """For what is taken, however busy the machine is. What grew out of bounds would take longer."""
    async with open_grammars(REMUDA_SCHEMA_TIMEOUT="60s") as grammars:
        yield grammars


async def refusal(grammars: AnswerGrammars, schema: dict[str, Any]) -> str:
    with pytest.raises(GatewayError) as raised:
        await grammars.rules(Generation(Kind.CHAT, "cria", format=schema))
    return raised.value.message


@pytest.mark.parametrize("schema", [chain(MANY), chain(MANY, back=True), chain_of_names(MANY)])
async def test_long_ways_through_references_are_refused(grammars: AnswerGrammars, schema: dict[str, Any]) -> None:
    assert (await refusal(grammars, schema)).startswith("invalid JSON schema in format: it is nested too deeply")


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
async def test_many_references_and_circles_are_taken(patient: AnswerGrammars, schema: dict[str, Any]) -> None:
    assert await patient.rules(Generation(Kind.CHAT, "cria", format=schema))


PATTERNS = [f".*{chr(97 + number)}{chr(65 + number)}...." for number in range(24)]


async def test_patterns_that_take_too_long_to_join_cost_their_request_alone(grammars: AnswerGrammars) -> None:
    joined = {"allOf": [{"type": "string", "pattern": pattern} for pattern in PATTERNS]}
    assert await refusal(grammars, joined) == "invalid JSON schema in format: it takes too long to compile"
    assert await grammars.rules(Generation(Kind.CHAT, "cria", format={"type": "string"}))


async def test_lists_may_not_demand_too_many_items(grammars: AnswerGrammars) -> None:
    schema = {"anyOf": [{"type": "null"}, {"type": "array", "minItems": 2001, "items": {"const": "a"}}]}
    assert await refusal(grammars, schema) == (
        "invalid JSON schema in format: it demands more than 2000 items of a list"
    )
