"""Errors as Anthropic's routes tell them."""

import secrets
from typing import Any

from gateway.errors import GatewayError
from gateway.http.dialect import STATUSES, ErrorDialect


def _body(error: GatewayError) -> dict[str, Any]:
    return {
        "type": "error",
        "error": {"type": "api_error", "message": error.message},
        "request_id": f"req_{secrets.token_hex(12)}",
    }


ANTHROPIC_ERRORS = ErrorDialect(_body, "application/json", STATUSES)
