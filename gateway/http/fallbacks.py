"""Replies to requests without a route: plain 404 and 405, and redirects to the path that was meant (http-api 1.1)."""

import posixpath
from urllib.parse import quote

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

_TEXTS = {404: "404 page not found", 405: "405 method not allowed"}


def install_fallbacks(app: FastAPI) -> None:
    """Replaces FastAPI's answers for unknown paths and methods."""
    app.router.redirect_slashes = False
    app.router.default = Fallback(app)
    app.add_exception_handler(HTTPException, _on_http_error)


class Fallback:
    """The ASGI app for paths without a route."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        meant = next((path for path in _alternatives(scope["path"]) if self._exists(path, scope)), None)
        await (_plain(404) if meant is None else _redirect(scope, meant))(scope, receive, send)

    def _exists(self, path: str, scope: Scope) -> bool:
        if path == scope["path"]:
            return False
        routes: list[BaseRoute] = self._app.router.routes
        return any(route.matches({**scope, "path": path})[0] is not Match.NONE for route in routes)


def _alternatives(path: str) -> tuple[str, ...]:
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return path.rstrip("/") or "/", path + "/", clean


def _redirect(scope: Scope, path: str) -> Response:
    query = scope.get("query_string", b"").decode("latin-1")
    url = quote(path, safe="/:@") + (f"?{query}" if query else "")
    return RedirectResponse(url, 301 if scope["method"] == "GET" else 307)


async def _on_http_error(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)
    return _plain(error.status_code) if error.status_code in _TEXTS else Response(status_code=error.status_code)


def _plain(status: int) -> Response:
    return PlainTextResponse(_TEXTS[status], status)
