"""Renders templates in processes of their own."""

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeAlias, TypeVar

import orjson

from gateway.errors import internal, invalid, overloaded
from gateway.links.sandboxes import ask
from gateway.prompt.templates.language import Language
from remuda.sandbox.pool import NICE, ProcessDiedError, Sandbox, SandboxPool, TookTooLongError
from remuda.settings import Settings
from remuda.threads import Threads

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

Variables: TypeAlias = Callable[[], Mapping[str, Any]]
"""Makes the variables of a template. A long conversation has many."""


class TemplateRenderer:
    """Renders templates of one kind, which do not wait behind those of another kind."""

    def __init__(
        self, settings: Settings, *, processes: int, waiting: int, niceness: int = NICE, threads: Threads | None = None
    ) -> None:
        """At most `waiting` renderings wait for one of the `processes`. Variables are made in `threads`, if any."""
        self._max_output = settings.template_max_output
        self._threads = threads
        self._pool = SandboxPool(
            Sandbox(
                module="gateway.prompt.templates.sandbox",
                memory=settings.template_memory,
                arguments=(settings.template_cache,),
                niceness=niceness,
                processes=processes,
                waiting=waiting,
                timeout_ns=settings.template_timeout_ns,
                start_timeout_ns=settings.start_timeout_ns,
            )
        )

    @classmethod
    def for_models(cls, settings: Settings) -> "TemplateRenderer":
        """For models' templates, which most requests need."""
        processes, waiting = settings.template_processes, settings.template_queue
        return cls(settings, processes=processes, waiting=waiting, niceness=0)

    @classmethod
    def for_requests(cls, settings: Settings) -> "TemplateRenderer":
        """For templates that requests bring: anybody may have written them."""
        processes, waiting = settings.request_template_processes, settings.request_template_queue
        return cls(settings, processes=processes, waiting=waiting)

    @classmethod
    def for_long(cls, settings: Settings) -> "TemplateRenderer":
        """For models' templates in long conversations, which are rendered many times until they fit."""
        threads = Threads("conversations", settings.blocking_threads, settings.blocking_queue, overloaded)
        processes, waiting = settings.long_template_processes, settings.blocking_queue
        return cls(settings, processes=processes, waiting=waiting, threads=threads)

    def start(self) -> None:
        """Starts the first process in the background, ahead of the first request."""
        self._pool.start()

    async def close(self) -> None:
        """Ends all processes."""
        await self._pool.close()

    async def prepare(
        self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """What `work` on a conversation returns. Raises what it raises, and GatewayError (BUSY) like `render`."""
        return work(*args, **kwargs) if self._threads is None else await self._threads.run(work, *args, **kwargs)

    async def render(self, language: Language, template: str, variables: Variables) -> str:
        """The text of a template. Raises GatewayError: BUSY where too many wait, INTERNAL where the template fails or
        takes too much time or memory."""
        question = await self.prepare(_question, language, template, variables)
        answer = orjson.loads(await self._ask(question))
        if "error" in answer:
            raise internal(f"template: {answer['error']}")
        if len(answer["text"]) > self._max_output:
            raise internal("template: the output is too long")
        return answer["text"]

    async def _ask(self, question: bytes) -> bytes:
        try:
            return await ask(self._pool, question)
        except TookTooLongError:
            raise internal("template: it took too long to render") from None
        except ProcessDiedError:
            raise internal("template: the process that rendered it died") from None


def _question(language: Language, template: str, variables: Variables) -> bytes:
    """Raises GatewayError for variables that no encoder takes: a tool's schema is the client's."""
    try:
        return orjson.dumps({"language": language.value, "template": template, "variables": variables()})
    except orjson.JSONEncodeError:
        raise invalid("the request is nested too deeply") from None
