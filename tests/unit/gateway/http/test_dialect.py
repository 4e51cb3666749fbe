"""Errors are told in the dialect of the route that matched, and in Ollama's where none did."""

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import ErrorKind, GatewayError, invalid
from gateway.http.dialect import STATUSES, ErrorDialect, install_error_handlers, route_class
from gateway.http.request_log import RequestLog

PLAIN = ErrorDialect(lambda error: {"plain": error.message}, "application/json", STATUSES)
ODD = ErrorDialect(lambda error: {"odd": error.message}, "text/odd", STATUSES | {ErrorKind.INVALID: 422})


async def fail(request: Request) -> Response:
    if request.url.query:
        raise RuntimeError("a bug")
    raise invalid("no")


def client(*, is_broken: bool = False) -> httpx.AsyncClient:
    app = FastAPI()
    for prefix, dialect in (("/plain", PLAIN), ("/odd", ODD)):
        router = APIRouter(prefix=prefix, route_class=route_class(dialect))
        router.add_api_route("/fail", fail, methods=["GET"])
        app.include_router(router)
    install_error_handlers(app)

    async def broken(*_: object) -> None:
        raise GatewayError(ErrorKind.INVALID, "of a middleware")

    transport = httpx.ASGITransport(RequestLog(broken if is_broken else app, PLAIN), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.mark.parametrize(
    ("path", "status", "content_type", "body"),
    [
        ("/plain/fail", 400, "application/json", {"plain": "no"}),
        ("/odd/fail", 422, "text/odd; charset=utf-8", {"odd": "no"}),
        ("/plain/fail?bug", 500, "application/json", {"plain": "internal server error"}),
        ("/odd/fail?bug", 500, "text/odd; charset=utf-8", {"odd": "internal server error"}),
    ],
)
async def test_an_error_has_the_dialect_of_its_route(path: str, status: int, content_type: str, body: object) -> None:
    async with client() as http:
        reply = await http.get(path)
    assert (reply.status_code, reply.headers["content-type"], reply.json()) == (status, content_type, body)


async def test_an_error_before_any_route_has_the_default_dialect() -> None:
    async with client(is_broken=True) as http:
        reply = await http.get("/odd/fail")
    assert (reply.status_code, reply.json()) == (500, {"plain": "internal server error"})


@pytest.mark.parametrize("kind", ErrorKind)
def test_a_temporary_error_says_when_to_try_again(kind: ErrorKind) -> None:
    reply = PLAIN.response(GatewayError(kind, "later"))
    assert ("retry-after" in reply.headers) is (reply.status_code == 503)
