"""Errors as Ollama's own routes tell them."""

from typing import Any

from gateway.errors import GatewayError
from gateway.http.dialect import STATUSES, ErrorDialect


def _body(error: GatewayError) -> dict[str, Any]:
    return {"error": error.message}


OLLAMA_ERRORS = ErrorDialect(_body, "application/json; charset=utf-8", STATUSES)
"""Also the dialect of requests that match no route."""
