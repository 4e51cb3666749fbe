"""The rules that a request's `format` or `grammar` sets for the answer, made and tried before a worker meets them."""

from typing import Any

import orjson

from gateway.errors import GatewayError, invalid, mistyped
from gateway.generation.request import Generation
from gateway.grammar.rules import TOO_DEEP, Rules, json_rules
from gateway.links.sandboxes import ask
from remuda.sandbox.pool import NICE, ProcessDiedError, Sandbox, SandboxPool, TookTooLongError
from remuda.settings import Settings


class AnswerGrammars:
    """Makes rules in processes of their own."""

    def __init__(self, settings: Settings) -> None:
        self._max_schema = settings.max_schema
        self._max_grammar = settings.max_grammar
        self._pool = SandboxPool(
            Sandbox(
                module="gateway.grammar.sandbox",
                memory=settings.schema_memory,
                arguments=(),
                niceness=NICE,
                processes=settings.schema_processes,
                waiting=settings.schema_queue,
                timeout_ns=settings.schema_timeout_ns,
                start_timeout_ns=settings.start_timeout_ns,
            )
        )

    async def close(self) -> None:
        """Ends the processes."""
        await self._pool.close()

    async def rules(self, generation: Generation) -> Rules | None:
        """The rules of the answer; None where anything goes.

        Raises GatewayError: INVALID for a schema or grammar that cannot be followed, MISTYPED for a `format` of an
        unknown form, BUSY where too many wait.
        """
        if generation.grammar:
            return await self._from_gbnf(generation.grammar)
        if not wants_format(generation.format):
            return None
        if generation.format == "json":
            return json_rules({"type": "object"})
        return await self._from_schema(generation.format)

    async def _from_schema(self, schema: dict[str, Any]) -> Rules:
        try:
            question = orjson.dumps({"schema": schema})
        except orjson.JSONEncodeError:
            raise _bad_schema(TOO_DEEP) from None
        if len(question) - len(b'{"schema":}') > self._max_schema:
            raise _bad_schema(f"it has more than {self._max_schema} bytes")
        answer = await self._ask(question)
        if "error" in answer:
            raise _bad_schema(answer["error"])
        return answer["rules"]

    async def _from_gbnf(self, grammar: str) -> Rules:
        if len(grammar.encode()) > self._max_grammar:
            raise _bad_grammar(f"it has more than {self._max_grammar} bytes")
        answer = await self._ask(orjson.dumps({"grammar": grammar}))
        if "error" in answer:
            raise _bad_grammar(answer["error"])
        return answer["rules"]

    async def _ask(self, question: bytes) -> dict[str, Any]:
        try:
            return orjson.loads(await ask(self._pool, question))
        except TookTooLongError:
            return {"error": "it takes too long to compile"}
        except ProcessDiedError:
            return {"error": f"{TOO_DEEP}, or takes too much memory"}


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
