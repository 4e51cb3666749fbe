"""The options of a request for a model: the request's over the model's, within what model and machine allow."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.generation.options import MIN_CONTEXT, MIN_VISION_CONTEXT, ContextBounds, Options, resolve_options
from gateway.links.scheduler import SchedulerLink
from remuda.settings import Settings
from remuda.v1 import store_pb2


class OptionsResolver:
    """Knows the machine's default context and the settings' limit."""

    def __init__(self, scheduler: SchedulerLink, settings: Settings) -> None:
        self._scheduler = scheduler
        self._settings = settings

    async def resolve(self, request: Mapping[str, Any], bundle: store_pb2.Bundle) -> Options:
        """The options for this model. `request` is what the client sent. Raises GatewayError for a value of the wrong
        type."""
        bounds = ContextBounds(
            default=await self._scheduler.default_context(),
            trained=bundle.details.context_length,
            minimum=MIN_VISION_CONTEXT if "vision" in bundle.capabilities else MIN_CONTEXT,
            cells=self._settings.kv_cells,
        )
        ignored = self._settings.ignored_options
        heeded = {name: value for name, value in request.items() if name not in ignored}
        return resolve_options(orjson.loads(bundle.params_json or "{}"), heeded, bounds)
