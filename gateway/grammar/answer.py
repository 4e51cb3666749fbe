"""The rules that a request's `format` or `grammar` sets for the answer, checked before a worker meets them."""

from typing import Any

import orjson
from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from gateway.errors import GatewayError, invalid, mistyped
from gateway.generation.request import Generation
from gateway.grammar.depth import MAX_LEVELS, levels_of
from gateway.grammar.gbnf import lark_of, without_source
from gateway.grammar.rules import Rules, grammar_text, json_rules
from gateway.grammar.schema import closed
from remuda.settings import Settings
from remuda.threads import Threads

TOO_DEEP = "it is nested too deeply"
MATCHES_NOTHING = "nothing can match it"
DEAD_END = "NoExtensionBias"
"""llguidance's word for a grammar that allows no token."""


class AnswerGrammars:
    """Makes rules in threads, and tries each on a vocabulary of single bytes."""

    def __init__(self, settings: Settings, threads: Threads) -> None:
        self._threads = threads
        self._max_schema = settings.max_schema
        self._max_grammar = settings.max_grammar
        self._bytes = LLTokenizer("byte")
        self._limits = LLParserLimits(verbose_errors=False)

    async def rules(self, generation: Generation) -> Rules | None:
        """The rules of the answer; None where anything goes.

        Raises GatewayError: INVALID for a schema or grammar that cannot be followed, MISTYPED for a `format` of an
        unknown form.
        """
        if generation.grammar:
            return await self._threads.run(self._from_gbnf, generation.grammar)
        if not wants_format(generation.format):
            return None
        if generation.format == "json":
            return json_rules({"type": "object"})
        return await self._threads.run(self._from_schema, generation.format)

    def _from_schema(self, schema: dict[str, Any]) -> Rules:
        try:
            if len(orjson.dumps(schema)) > self._max_schema:
                raise _bad_schema(f"it has more than {self._max_schema} bytes")
            if levels_of(schema) > MAX_LEVELS:
                raise _bad_schema(TOO_DEEP)
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
        except Exception as error:  # the converter raises all kinds
            raise _bad_grammar(str(error)) from None
        if reason := self._fault(rules):
            raise _bad_grammar(without_source(reason))
        return rules

    def _fault(self, rules: Rules) -> str:
        """Why no output can follow the rules; empty where some can. Releases the GIL."""
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
    """Whether a `format` value constrains the output. Raises GatewayError for a value of an unknown form."""
    if value is None or value == "":
        return False
    if value == "json" or isinstance(value, dict):
        return True
    quoted = orjson.dumps(orjson.dumps(value).decode()).decode()
    raise mistyped(f'invalid format: {quoted}; expected "json" or a valid JSON Schema object')
