"""There are no keys yet, so nothing but the origin keeps a page in a browser from managing the server."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from support.gateway_world import World, world_in

DIGEST = "sha256:" + "0" * 64
MANAGING = [
    *(("POST", f"/api/{name}") for name in ("generate", "chat", "create", "copy", "pull", "push")),
    ("DELETE", "/api/delete"),
    ("POST", f"/api/blobs/{DIGEST}"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/messages"),
]


@pytest.fixture
async def world(private_folder: Path) -> AsyncGenerator[World]:
    async with world_in(private_folder) as world:
        yield world


@pytest.mark.parametrize(("method", "path"), MANAGING)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
async def test_a_foreign_page_reaches_no_route_that_changes_something(
    world: World, method: str, path: str, content_type: str
) -> None:
    headers = {"Origin": "http://evil.example", "Content-Type": content_type}
    reply = await world.client.request(method, path, content=b'{"model": "cria"}', headers=headers)
    assert reply.status_code == 403
    assert world.store.resolved.empty()
