"""Errors as Ollama's own routes tell them."""

from typing import Any

from gateway.errors import GatewayError
from gateway.http.dialect import STATUSES, ErrorDialect
from gateway.http.replies import JSON


def _body(error: GatewayError) -> dict[str, Any]:
    return {"error": error.message}


OLLAMA_ERRORS = ErrorDialect(_body, JSON, STATUSES)
"""Also the dialect of requests that match no route."""
