"""What a client lets the answer be: `format` and `grammar` as rules for llguidance, which are known to be good."""

import asyncio
from typing import Any, TypeAlias

import orjson
from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from gateway.errors import GatewayError, invalid, mistyped
from gateway.generation.request import Generation
from gateway.grammar.gbnf import lark_of, without_source
from gateway.grammar.schema import closed
from remuda.settings import Settings

Rules: TypeAlias = dict[str, Any]
"""One grammar of llguidance: {"json_schema": …} or {"lark_grammar": …}."""

WRITING = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": True,
    "coerce_one_of": True,
}
"""JSON as most of it is written, on one line: white space as it pleases is what small models never find out of. What
only validates (`uniqueItems`, a `format` of one's own) is passed over, as in Ollama: schemas made from classes are full
of it."""

TOO_DEEP = "it is nested too deeply"
MATCHES_NOTHING = "nothing can match it"
DEAD_END = "NoExtensionBias"
"""llguidance's word for a grammar that allows no token."""


def json_rules(schema: dict[str, Any]) -> Rules:
    """JSON after a schema. What the schema says of white space itself has no say."""
    return {"json_schema": {**schema, "x-guidance": WRITING}}


def grammar_text(*rules: Rules) -> str:
    """A grammar in the form that the worker takes; the first rules are where it begins."""
    return orjson.dumps({"grammars": rules}).decode()


class AnswerGrammars:
    """Makes rules, and tries them on a vocabulary of bytes before a worker meets them."""

    def __init__(self, settings: Settings) -> None:
        self._max_schema = settings.max_schema
        self._max_grammar = settings.max_grammar
        self._bytes = LLTokenizer("byte")
        self._limits = LLParserLimits(verbose_errors=False)

    async def rules(self, generation: Generation) -> Rules | None:
        """The rules of the answer, if there are any. Raises GatewayError: 400 for a schema or grammar that cannot be
        kept to, 500 for a `format` that is none."""
        if generation.grammar:
            return await asyncio.to_thread(self._from_gbnf, generation.grammar)
        if not wants_format(generation.format):
            return None
        if generation.format == "json":
            return json_rules({"type": "object"})
        return await asyncio.to_thread(self._from_schema, generation.format)

    def _from_schema(self, schema: dict[str, Any]) -> Rules:
        try:
            if len(orjson.dumps(schema)) > self._max_schema:
                raise _bad_schema(f"it has more than {self._max_schema} bytes")
            rules = json_rules(closed(schema))
            reason = self._fault(rules)
        except (RecursionError, orjson.JSONEncodeError):
            raise _bad_schema(TOO_DEEP) from None
        if reason:
            raise _bad_schema(reason)
        return rules

    def _from_gbnf(self, grammar: str) -> Rules:
        if len(grammar.encode()) > self._max_grammar:
            raise _bad_grammar(f"it has more than {self._max_grammar} bytes")
        try:
            rules = {"lark_grammar": lark_of(grammar)}
        except RecursionError:
            raise _bad_grammar(TOO_DEEP) from None
        except Exception as error:  # the converter knows no exception of its own for what is missing
            raise _bad_grammar(str(error)) from None
        if reason := self._fault(rules):
            raise _bad_grammar(without_source(reason))
        return rules

    def _fault(self, rules: Rules) -> str:
        """Why no output could be held to the rules; empty if it can. Releases the GIL."""
        matcher = LLMatcher(self._bytes, grammar_text(rules), log_level=0, limits=self._limits)
        if not matcher.is_error():
            matcher.compute_bitmask()
        error = matcher.get_error().partition("\n<")[0].strip()
        return MATCHES_NOTHING if error == DEAD_END else error


def _bad_schema(reason: str) -> GatewayError:
    return invalid(f"invalid JSON schema in format: {reason}")


def _bad_grammar(reason: str) -> GatewayError:
    return invalid(f"invalid grammar: {reason}")


def wants_format(value: Any) -> bool:
    """Whether a `format` value constrains the output. Raises GatewayError if it is none of the known forms."""
    if value is None or value == "":
        return False
    if value == "json" or isinstance(value, dict):
        return True
    quoted = orjson.dumps(orjson.dumps(value).decode()).decode()
    raise mistyped(f'invalid format: {quoted}; expected "json" or a valid JSON Schema object')
