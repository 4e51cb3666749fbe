"""Anthropic's routes in process."""

import re

import httpx
from fastapi import FastAPI

from gateway.anthropic.routes import anthropic_router
from gateway.http.dialect import install_error_handlers


async def post(path: str) -> httpx.Response:
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(anthropic_router())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost/v1") as client:
        return await client.post(path, json={})


async def test_messages_are_501_in_anthropics_shape() -> None:
    reply = await post("/messages")
    assert reply.status_code == 501
    body = reply.json()
    assert (body["type"], body["error"]["type"]) == ("error", "api_error")
    assert re.fullmatch(r"req_[0-9a-f]{24}", body["request_id"])
    assert reply.headers["content-type"] == "application/json"
