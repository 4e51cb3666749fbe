"""Templates that requests bring, and long conversations, hold up nobody but their own kind."""

import asyncio
from typing import Any

from gateway.errors import ErrorKind, GatewayError
from gateway.generation.request import Generation, Kind, Message
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.renderer import TemplateRenderer
from gateway.prompt.templates.renderers import Renderers
from remuda.settings import Settings

ENDLESS = "{{ range .Messages }}{{ range $.Messages }}{{ range $.Messages }}{{ end }}{{ end }}{{ end }}"
MANY = {"Messages": [{"role": "user", "content": ""}] * 3000}
QUEUE = 2


async def test_models_templates_do_not_wait_behind_those_of_requests() -> None:
    variables: dict[str, Any] = {"REMUDA_REQUEST_TEMPLATE_QUEUE": str(QUEUE), "REMUDA_TEMPLATE_TIMEOUT": "1s"}
    settings = Settings(**variables)
    models, requests = TemplateRenderer.for_models(settings), TemplateRenderer.for_requests(settings)
    hostile = [asyncio.create_task(requests.render(Language.GO, ENDLESS, lambda: MANY)) for _ in range(2 * QUEUE + 1)]
    assert await models.render(Language.GO, "{{ .Prompt }}", lambda: {"Prompt": "hi"}) == "hi"
    assert sum(not task.done() for task in hostile) == QUEUE + 1
    errors = await asyncio.gather(*hostile, return_exceptions=True)
    kinds = [error.kind for error in errors if isinstance(error, GatewayError)]
    assert sorted(kinds, key=str) == [ErrorKind.BUSY] * QUEUE + [ErrorKind.INTERNAL] * (QUEUE + 1)
    await asyncio.gather(models.close(), requests.close())


SLOW = "{% for a in messages %}{% for b in messages %}{% for c in messages %}{% endfor %}{% endfor %}{% endfor %}"


async def test_short_conversations_do_not_wait_behind_long_ones() -> None:
    variables: dict[str, Any] = {"REMUDA_TEMPLATE_TIMEOUT": "1s"}
    renderers = Renderers(Settings(**variables))
    talk = tuple(Message("user", "x" * 100) for _ in range(3000))
    long, short = (renderers.of(Generation(Kind.CHAT, "cria", messages=some)) for some in (talk, talk[:1]))
    hostile = [asyncio.create_task(long.render(Language.JINJA, SLOW, lambda: {"messages": [0] * 3000})) for _ in "1234"]
    assert await short.render(Language.JINJA, "hi", dict) == "hi"
    assert not any(task.done() for task in hostile)
    errors = await asyncio.gather(*hostile, return_exceptions=True)
    assert [isinstance(error, GatewayError) and error.kind for error in errors] == [ErrorKind.INTERNAL] * 4
    await renderers.close()
