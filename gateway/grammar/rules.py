"""Grammars as llguidance takes them, which is also how the worker gets them."""

from typing import Any, TypeAlias

import orjson

Rules: TypeAlias = dict[str, Any]
"""One grammar of llguidance: {"json_schema": …} or {"lark_grammar": …}."""

TOO_DEEP = "it is nested too deeply"
"""Why a schema or grammar is refused."""

WRITING = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": True,
    "coerce_one_of": True,
}
"""JSON is written on one line, as most of it is: a small model that may choose its white space never stops writing it.
`lenient` ignores keywords that only validate (`uniqueItems`, an unknown `format`), as Ollama does: schemas that are
generated from classes are full of them."""


def json_rules(schema: dict[str, Any]) -> Rules:
    """JSON that follows a schema. `WRITING` replaces what the schema itself says about white space."""
    return {"json_schema": {**schema, "x-guidance": WRITING}}


def grammar_text(*rules: Rules) -> str:
    """The grammar that the worker compiles. It begins with the first rules; the others have names."""
    return orjson.dumps({"grammars": rules}).decode()
