"""Structured logs on stderr: readable on a terminal, JSON otherwise."""

import logging
import sys
from typing import Any

import structlog

from remuda.settings import Settings


def configure_logs(settings: Settings, process: str) -> None:
    """Sets up structlog for this process. Every line carries `process`."""
    threshold = logging.DEBUG if settings.debug > 0 else logging.INFO - 10 * min(settings.debug, 0)
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=not console),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")


def get_logger() -> Any:
    """A logger that follows `configure_logs`, even if it was made before."""
    return structlog.get_logger()
