"""Templates that requests bring hold up nobody but their own kind."""

import asyncio
from typing import Any

from gateway.errors import ErrorKind, GatewayError
from gateway.prompt.templates.language import Language
from gateway.prompt.templates.renderer import TemplateRenderer
from remuda.settings import Settings

ENDLESS = "{{ range .Messages }}{{ range $.Messages }}{{ range $.Messages }}{{ end }}{{ end }}{{ end }}"
MANY = {"Messages": [{"role": "user", "content": ""}] * 3000}
QUEUE = 2


async def test_models_templates_do_not_wait_behind_those_of_requests() -> None:
    variables: dict[str, Any] = {"REMUDA_REQUEST_TEMPLATE_QUEUE": str(QUEUE), "REMUDA_TEMPLATE_TIMEOUT": "1s"}
    settings = Settings(**variables)
    models, requests = TemplateRenderer.for_models(settings), TemplateRenderer.for_requests(settings)
    hostile = [asyncio.create_task(requests.render(Language.GO, ENDLESS, MANY)) for _ in range(2 * QUEUE + 1)]
    assert await models.render(Language.GO, "{{ .Prompt }}", {"Prompt": "hi"}) == "hi"
    assert sum(not task.done() for task in hostile) == QUEUE + 1
    errors = await asyncio.gather(*hostile, return_exceptions=True)
    kinds = [error.kind for error in errors if isinstance(error, GatewayError)]
    assert sorted(kinds, key=str) == [ErrorKind.BUSY] * QUEUE + [ErrorKind.INTERNAL] * (QUEUE + 1)
    await asyncio.gather(models.close(), requests.close())
