"""Renders templates in processes of their own."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.errors import internal, invalid, overloaded
from gateway.prompt.templates.language import Language
from remuda.sandbox.pool import OverloadedError, ProcessDiedError, Sandbox, SandboxPool, TookTooLongError
from remuda.settings import Settings


class TemplateRenderer:
    """Renders the templates of one origin: models' templates do not wait behind those that requests bring."""

    def __init__(self, settings: Settings, processes: int, waiting: int) -> None:
        """At most `waiting` renderings wait for one of the `processes`."""
        self._max_output = settings.template_max_output
        self._pool = SandboxPool(
            Sandbox(
                module="gateway.prompt.templates.sandbox",
                arguments=(settings.template_memory, settings.template_cache),
                processes=processes,
                waiting=waiting,
                timeout_ns=settings.template_timeout_ns,
                start_timeout_ns=settings.start_timeout_ns,
            )
        )

    @classmethod
    def for_models(cls, settings: Settings) -> "TemplateRenderer":
        return cls(settings, settings.template_processes, settings.template_queue)

    @classmethod
    def for_requests(cls, settings: Settings) -> "TemplateRenderer":
        return cls(settings, settings.request_template_processes, settings.request_template_queue)

    def start(self) -> None:
        """Starts the first process in the background, ahead of the first request."""
        self._pool.start()

    async def close(self) -> None:
        """Ends all processes."""
        await self._pool.close()

    async def render(self, language: Language, template: str, variables: Mapping[str, Any]) -> str:
        """The text of a template. Raises GatewayError: BUSY where too many wait, INTERNAL where the template fails or
        takes too much time or memory."""
        answer = orjson.loads(await self._ask(_question(language, template, variables)))
        if "error" in answer:
            raise internal(f"template: {answer['error']}")
        if len(answer["text"]) > self._max_output:
            raise internal("template: the output is too long")
        return answer["text"]

    async def _ask(self, question: bytes) -> bytes:
        try:
            return await self._pool.ask(question)
        except OverloadedError:
            raise overloaded() from None
        except TookTooLongError:
            raise internal("template: it took too long to render") from None
        except ProcessDiedError:
            raise internal("template: the process that rendered it died") from None


def _question(language: Language, template: str, variables: Mapping[str, Any]) -> bytes:
    """Raises GatewayError for variables that no encoder takes: a tool's schema is the client's."""
    try:
        return orjson.dumps({"language": language.value, "template": template, "variables": variables})
    except orjson.JSONEncodeError:
        raise invalid("the request is nested too deeply") from None
