"""Every environment variable that Remuda reads, with its default and the reason for it: one mixin per process.

`OLLAMA_*` names keep Ollama's meaning and reading rules (`settings.types`); their bounds exclude only what could never
work. `docs/settings.md` is made from the mixins.
"""

import os
import warnings

from remuda.settings.gateway import GatewaySettings
from remuda.settings.scheduler import SchedulerSettings
from remuda.settings.shared import SharedSettings
from remuda.settings.store import StoreSettings
from remuda.settings.supervisor import SupervisorSettings
from remuda.settings.types import GIB, InvalidSetting
from remuda.settings.workers import KvCacheType, WorkerSettings

__all__ = ["KvCacheType", "Settings", "changed_settings", "context_tier", "read_settings"]


class Settings(SharedSettings, SupervisorSettings, GatewaySettings, SchedulerSettings, StoreSettings, WorkerSettings):
    """One process's view of the environment. Sizes are bytes, durations nanoseconds."""


def context_tier(vram_total: int) -> int:
    """Ollama's default num_ctx in tokens for a machine with `vram_total` bytes of GPU memory."""
    if vram_total >= 47 * GIB:
        return 262144
    return 32768 if vram_total >= 23 * GIB else 4096


def read_settings() -> tuple[Settings, list[str]]:
    """The settings of this process's environment, and a warning for each variable that has no usable value."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InvalidSetting)
        settings = Settings()
    return settings, [str(warning.message) for warning in caught]


def changed_settings(settings: Settings) -> list[str]:
    """`NAME=value` of every variable whose value differs from its default, as the environment spells it."""
    return [
        f"{field.validation_alias}={os.environ.get(str(field.validation_alias), getattr(settings, name))}"
        for name, field in Settings.model_fields.items()
        if getattr(settings, name) != field.get_default(call_default_factory=True)
    ]
