"""Browsers of foreign pages are kept out; paths that do not exist are answered in plain text."""

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message

from gateway.http.cors import CrossOrigin, Origins
from gateway.http.fallbacks import install_fallbacks
from gateway.http.host_check import HostCheck
from gateway.ollama.errors import OLLAMA_ERRORS


async def hello() -> Response:
    return PlainTextResponse("hello")


def guarded_app(listening: str = "127.0.0.1", *origins: str, allowed_hosts: tuple[str, ...] = ()) -> ASGIApp:
    app = FastAPI()
    app.add_api_route("/api/tags", hello, methods=["GET"])
    app.add_api_route("/api/chat", hello, methods=["POST"])
    install_fallbacks(app)
    return CrossOrigin(HostCheck(app, listening, allowed_hosts, OLLAMA_ERRORS), Origins.of(origins))


def client(listening: str = "127.0.0.1", *origins: str, allowed_hosts: tuple[str, ...] = ()) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(guarded_app(listening, *origins, allowed_hosts=allowed_hosts))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:11434")


@pytest.mark.parametrize("origin", ["http://localhost", "https://127.0.0.1:3000", "app://x", "http://127.0.0.1:11434"])
async def test_local_pages_may_call(origin: str) -> None:
    reply = await client().get("/api/tags", headers={"Origin": origin})
    assert reply.status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost.evil.example", "null", "https://8.8.8.8"])
async def test_foreign_pages_get_403_without_a_body(origin: str, method: str) -> None:
    reply = await client().request(method, "/api/tags", headers={"Origin": origin})
    assert (reply.status_code, reply.content) == (403, b"")


async def test_a_preflight_is_answered_with_what_is_allowed() -> None:
    reply = await client().options("/api/chat", headers={"Origin": "http://localhost:3000"})
    assert reply.status_code == 204
    assert reply.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert reply.headers["vary"] == "Origin"
    assert reply.headers["access-control-max-age"] == "43200"
    assert "x-stainless-os" in reply.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in reply.headers


async def test_a_star_allows_everybody() -> None:
    reply = await client("127.0.0.1", "*").get("/api/tags", headers={"Origin": "http://any.example"})
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "*")


async def test_configured_origins_are_added_to_the_defaults() -> None:
    one = client("127.0.0.1", "https://*.example.com")
    for origin in ("https://a.example.com", "http://localhost"):
        assert (await one.get("/api/tags", headers={"Origin": origin})).status_code == 200


@pytest.mark.parametrize("entry", ["example.com", "http://*.*.com"])
def test_an_origin_that_can_be_none_stops_the_start(entry: str) -> None:
    with pytest.raises(ValueError, match="OLLAMA_ORIGINS"):
        Origins.of([entry])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:11434",
        "127.0.0.1:11434",
        "[::1]:11434",
        "192.168.1.5",
        "0.0.0.0",
        "box.local",
        "a.internal",
    ],
)
async def test_local_hosts_are_accepted(host: str) -> None:
    assert (await client().get("/api/tags", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "8.8.8.8", "localhost.evil.example", "127.0.0.1.evil.example:11434"])
async def test_foreign_hosts_get_403_without_a_body(host: str) -> None:
    reply = await client().get("/api/tags", headers={"Host": host})
    assert (reply.status_code, reply.content) == (403, b"")


async def test_a_server_on_the_network_is_known_to_programs_by_any_name() -> None:
    assert (await client("0.0.0.0").get("/api/tags", headers={"Host": "box.example"})).status_code == 200


@pytest.mark.parametrize("mark", [{"Origin": "http://evil.example:11434"}, {"Sec-Fetch-Site": "same-origin"}])
async def test_a_page_that_rebinds_its_name_reaches_no_server_on_the_network(mark: dict[str, str]) -> None:
    reply = await client("0.0.0.0").get("/api/tags", headers={"Host": "evil.example:11434", **mark})
    assert reply.status_code == 403
    assert "REMUDA_ALLOWED_HOSTS" in reply.json()["error"]


@pytest.mark.parametrize("host", ["8.8.8.8:11434", "[2001:db8::1]", "box.local", "localhost", "Box.Example:8080"])
async def test_browsers_reach_a_server_on_the_network_by_its_address_and_its_own_names(host: str) -> None:
    reply = await client("0.0.0.0", allowed_hosts=("box.example",)).get(
        "/api/tags", headers={"Host": host, "Origin": f"http://{host}"}
    )
    assert reply.status_code == 200


async def test_where_names_are_given_no_client_uses_another_one() -> None:
    reply = await client("0.0.0.0", allowed_hosts=("box.example",)).get("/api/tags", headers={"Host": "other.example"})
    assert reply.status_code == 403


async def test_a_given_name_reaches_a_server_on_loopback() -> None:
    one = client("127.0.0.1", allowed_hosts=("box.example",))
    assert (await one.get("/api/tags", headers={"Host": "box.example"})).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/nothing", 404, "404 page not found"),
        ("GET", "/api/chat", 405, "405 method not allowed"),
        ("DELETE", "/api/tags", 405, "405 method not allowed"),
    ],
)
async def test_routing_errors_are_plain_text(method: str, path: str, status: int, text: str) -> None:
    reply = await client().request(method, path)
    assert (reply.status_code, reply.text) == (status, text)
    assert reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("method", "path", "status", "location"),
    [
        ("GET", "/api/tags/?a=1", 301, "/api/tags?a=1"),
        ("POST", "/api/chat/", 307, "/api/chat"),
        ("GET", "//api//tags", 301, "/api/tags"),
        ("GET", "/x/../api/tags", 301, "/api/tags"),
    ],
)
async def test_nearly_right_paths_are_redirected(method: str, path: str, status: int, location: str) -> None:
    raw_path, _, query = path.partition("?")  # httpx would clean the path
    scope = {"type": "http", "method": method, "path": raw_path, "query_string": query.encode(), "headers": []}
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await guarded_app()(scope, receive_nothing, send)
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"location"]) == (status, location.encode())


async def receive_nothing() -> Message:
    return {"type": "http.request"}
