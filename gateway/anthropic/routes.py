"""Anthropic's routes under `/v1`."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gateway.anthropic.errors import ANTHROPIC_ERRORS
from gateway.errors import not_implemented
from gateway.http.dialect import route_class


def anthropic_router() -> APIRouter:
    """`/v1/messages`, which Remuda does not serve yet."""
    router = APIRouter(prefix="/v1", route_class=route_class(ANTHROPIC_ERRORS))

    @router.post("/messages")
    async def messages(request: Request) -> Response:
        raise not_implemented(f"{request.url.path} is")

    return router
