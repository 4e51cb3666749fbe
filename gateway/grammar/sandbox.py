"""The schema process: makes rules of schemas and grammars, and tries each (`remuda.sandbox.child`).

llguidance follows references with its stack, and joins patterns for as long as that takes.

A question is a JSON object {"schema"} or {"grammar"}, an answer {"rules"} or {"error"}.
"""

import sys
from functools import partial
from typing import Any

import orjson
from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from gateway.grammar.gbnf import lark_of, without_source
from gateway.grammar.repetitions import MAX_REPETITIONS, most_repetitions
from gateway.grammar.rules import TOO_DEEP, Rules, grammar_text, json_rules
from gateway.grammar.schema import closed
from remuda.sandbox.child import on_stack, serve

TOO_MANY = f"it demands more than {MAX_REPETITIONS} items of a list"
MATCHES_NOTHING = "nothing can match it"
DEAD_END = "NoExtensionBias"
"""llguidance's word for a grammar that allows no token."""


class _UnusableError(Exception):
    """Rules that cannot be followed; the text says why."""


STACK = 4 << 20
"""Bytes of stack for rules: half of what a worker's thread has. What they overflow here they never meet there."""


def main() -> None:
    """Usage: python -m gateway.grammar.sandbox BOUNDS..."""
    serve("schemas", sys.argv[1:], partial(_answer, LLTokenizer("byte")))


def _answer(vocabulary: LLTokenizer, question: bytes) -> bytes:
    return on_stack(STACK, partial(_reply, vocabulary, question))


def _reply(vocabulary: LLTokenizer, question: bytes) -> bytes:
    asked = orjson.loads(question)
    try:
        rules = _schema_rules(asked["schema"]) if "schema" in asked else _gbnf_rules(asked["grammar"])
        if reason := _fault(vocabulary, rules):
            raise _UnusableError(reason if "schema" in asked else without_source(reason))
        return orjson.dumps({"rules": rules})
    except (RecursionError, orjson.JSONEncodeError):
        return orjson.dumps({"error": TOO_DEEP})
    except _UnusableError as error:
        return orjson.dumps({"error": str(error)})


def _schema_rules(schema: dict[str, Any]) -> Rules:
    if most_repetitions(schema) > MAX_REPETITIONS:
        raise _UnusableError(TOO_MANY)
    return json_rules(closed(schema))


def _gbnf_rules(grammar: str) -> Rules:
    try:
        return {"lark_grammar": lark_of(grammar)}
    except RecursionError:
        raise
    except Exception as error:  # the converter raises all kinds
        raise _UnusableError(str(error)) from None


def _fault(vocabulary: LLTokenizer, rules: Rules) -> str:
    """Why no output can follow the rules; empty where some can."""
    limits = LLParserLimits(verbose_errors=False)
    matcher = LLMatcher(vocabulary, grammar_text(rules), log_level=0, limits=limits)
    if not matcher.is_error():
        matcher.compute_bitmask()
    error = matcher.get_error().partition("\n<")[0].strip()
    return MATCHES_NOTHING if error == DEAD_END else error


if __name__ == "__main__":
    main()
