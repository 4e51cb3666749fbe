"""Errors as OpenAI's routes tell them."""

from typing import Any

from gateway.errors import ErrorKind, GatewayError
from gateway.http.dialect import STATUSES, ErrorDialect
from gateway.http.replies import JSON

EMPTY_BODY = "EOF"
"""The error of a request without a body."""

_TYPES = {ErrorKind.INVALID: "invalid_request_error", ErrorKind.NOT_FOUND: "not_found_error"}
_OTHER_TYPE = "api_error"


def _body(error: GatewayError) -> dict[str, Any]:
    kind = _TYPES.get(error.kind, _OTHER_TYPE)
    return {"error": {"message": error.message, "type": kind, "param": None, "code": None}}


OPENAI_ERRORS = ErrorDialect(_body, JSON, STATUSES)
"""The content type is Ollama's, which has its own for replies that are no errors."""
