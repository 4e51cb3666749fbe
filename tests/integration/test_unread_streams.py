"""A client that opens a stream over a real socket and does not read it."""

import contextlib
import json
import socket
from collections.abc import Generator
from urllib.parse import urlsplit

import pytest
from support.models_folder import install_script, models_folder
from support.serving import Server, StartServer, short_folder, until

LONG_WORDS = " ".join(letter * 2000 for letter in "abcdefgh")
"""The kernel buffers megabytes of a connection before a reply fills the gateway."""
BODY = {
    "model": "parrot",
    "prompt": "?",
    "logprobs": True,
    "options": {"num_ctx": 16384, "num_predict": 16000, "temperature": 0},
}


@pytest.fixture
def server(start: StartServer) -> Generator[Server]:
    with short_folder() as root:
        install_script(models_folder(root), "parrot", LONG_WORDS, for_ever=True)
        yield start(root, REMUDA_MAX_UNREAD="20000")


def test_an_unread_request_is_cancelled_and_its_connection_closed(server: Server) -> None:
    address = urlsplit(server.url)
    body = json.dumps(BODY).encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((address.hostname, address.port))
        client.sendall(
            b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        until(lambda: "the client does not read its reply" in server.log)
        reply = read_to_the_end(client)
    assert b'"response":"aaa' in reply
    assert not reply.endswith(b"\r\n0\r\n\r\n")  # the end of a chunked reply
    assert "Traceback" not in server.log


def read_to_the_end(client: socket.socket) -> bytes:
    content = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(1 << 16):
            content += chunk
    return content
