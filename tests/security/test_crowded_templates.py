"""Templates that requests bring, and long conversations, hold up nobody but their own kind."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from gateway.errors import ErrorKind, GatewayError
from gateway.generation.request import Generation, Kind, Message
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.renderer import TemplateRenderer
from gateway.prompt.templates.renderers import Renderers
from remuda.settings import Settings

ENDLESS = "{{ range .Messages }}{{ range $.Messages }}{{ range $.Messages }}{{ end }}{{ end }}{{ end }}"
SLOW = "{% for a in messages %}{% for b in messages %}{% for c in messages %}{% endfor %}{% endfor %}{% endfor %}"
LONG = 3000
MESSAGES = [{"role": "user", "content": ""}] * LONG
GO_MANY = {"Messages": MESSAGES}
JINJA_MANY = {"messages": MESSAGES}
QUEUE = 2
TOO_LONG = "template: it took too long to render"

Renderer = TypeVar("Renderer", TemplateRenderer, Renderers)


async def test_models_templates_do_not_wait_behind_those_of_requests() -> None:
    variables: dict[str, Any] = {"REMUDA_REQUEST_TEMPLATE_QUEUE": str(QUEUE), "REMUDA_TEMPLATE_TIMEOUT": "1s"}
    settings = Settings(**variables)
    async with open_renderers(TemplateRenderer.for_models(settings), TemplateRenderer.for_requests(settings)) as each:
        models, requests = each
        hostile = [
            asyncio.create_task(requests.render(Language.GO, ENDLESS, lambda: GO_MANY)) for _ in range(2 * QUEUE + 1)
        ]
        assert await models.render(Language.GO, "{{ .Prompt }}", lambda: {"Prompt": "hi"}) == "hi"
        assert sum(not task.done() for task in hostile) == QUEUE + 1
        errors = await errors_of(hostile)
    slow = [error.message for error in errors if error.kind is ErrorKind.INTERNAL]
    assert slow == [TOO_LONG] * (QUEUE + 1)
    assert sum(error.kind is ErrorKind.BUSY for error in errors) == QUEUE


async def test_short_conversations_do_not_wait_behind_long_ones() -> None:
    variables: dict[str, Any] = {"REMUDA_TEMPLATE_TIMEOUT": "1s"}
    talk = tuple(Message("user", "x" * 100) for _ in range(LONG))
    async with open_renderers(Renderers(Settings(**variables))) as (renderers,):
        long, short = (renderers.of(Generation(Kind.CHAT, "cria", messages=some)) for some in (talk, talk[:1]))
        hostile = [asyncio.create_task(long.render(Language.JINJA, SLOW, lambda: JINJA_MANY)) for _ in "1234"]
        assert await short.render(Language.JINJA, "hi", dict) == "hi"
        assert not any(task.done() for task in hostile)
        errors = await errors_of(hostile)
    assert [error.message for error in errors] == [TOO_LONG] * 4


@asynccontextmanager
async def open_renderers(*each: Renderer) -> AsyncGenerator[tuple[Renderer, ...]]:
    """The renderers, whose processes end also where a test fails."""
    try:
        yield each
    finally:
        await asyncio.gather(*(renderer.close() for renderer in each))


async def errors_of(tasks: Sequence[asyncio.Task[str]]) -> list[GatewayError]:
    results = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [result for result in results if isinstance(result, GatewayError)]
    assert len(errors) == len(tasks)
    return errors
