"""Which renderer a request gets: what may take long does not hold up what does not."""

import asyncio

from gateway.generation.request import Generation
from gateway.prompt.templates.renderer import TemplateRenderer
from remuda.settings import Settings

MESSAGE = 512
"""Characters that a message counts beside its own: work on an empty one takes as long."""


class Renderers:
    """The renderers of a gateway."""

    def __init__(self, settings: Settings) -> None:
        self._long = settings.long_conversation
        self._for_models = TemplateRenderer.for_models(settings)
        self._for_requests = TemplateRenderer.for_requests(settings)
        self._for_long = TemplateRenderer.for_long(settings)

    def start(self) -> None:
        """Starts what most requests need, ahead of the first one."""
        self._for_models.start()

    async def close(self) -> None:
        """Ends all processes."""
        await asyncio.gather(*(each.close() for each in (self._for_models, self._for_requests, self._for_long)))

    def of(self, generation: Generation) -> TemplateRenderer:
        """The renderer for a request's template and its conversation."""
        if generation.template:
            return self._for_requests
        size = len(generation.prompt) + sum(MESSAGE + len(message.content) for message in generation.messages)
        return self._for_long if size > self._long else self._for_models
