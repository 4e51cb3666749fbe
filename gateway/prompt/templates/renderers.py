"""Which renderer a request gets: what may take long does not hold up what does not."""

import asyncio
from typing import Any

import orjson

from gateway.generation.request import Generation, Message
from gateway.prompt.templates.renderer import TemplateRenderer
from remuda.settings import Settings

MESSAGE = 512
"""Characters that a message counts beside its own: work on an empty one takes as long."""
TOOLS = 4
"""Characters that one of a tool's definition or of a call counts: templates look at each of their values."""


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
        return self._for_long if _size(generation) > self._long else self._for_models


def _size(generation: Generation) -> int:
    """About what a conversation costs, in characters of content."""
    texts = len(generation.prompt) + len(generation.system or "")
    return texts + TOOLS * _json_size(generation.tools) + sum(map(_message_size, generation.messages))


def _message_size(message: Message) -> int:
    calls = _json_size([call.arguments for call in message.tool_calls]) if message.tool_calls else 0
    return MESSAGE + len(message.content) + len(message.thinking) + TOOLS * calls


def _json_size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:  # the renderer refuses it
        return 0
