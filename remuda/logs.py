"""Structured logs on stderr: readable on a terminal, JSON otherwise."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from remuda.settings import Settings

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
TRACEBACK_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
TRACEBACKS = ("exception", "stack")
"""Values of several lines."""


def configure_logs(settings: Settings, process: str) -> None:
    """Sets up structlog for this process. Every line carries `process`."""
    threshold = logging.DEBUG if settings.debug > 0 else logging.INFO - 10 * min(settings.debug, 0)
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderers: list[Any] = [structlog.processors.JSONRenderer()]
    if console:
        renderers = [escape_controls, structlog.dev.ConsoleRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not console),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")


def escape_controls(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor: writes out the control characters in a line's values. They may be a client's, and a terminal would
    obey them. Tracebacks keep their lines."""
    del logger, method
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = (TRACEBACK_CONTROLS if name in TRACEBACKS else CONTROLS).sub(_escaped, value)
    return event


def _escaped(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()


def get_logger() -> Any:
    """A logger that follows `configure_logs`, even if it was made before."""
    return structlog.get_logger()
