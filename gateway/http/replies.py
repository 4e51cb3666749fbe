"""Replies as ASGI messages: whole ones, empty ones, and the parts of a stream."""

from collections.abc import Iterable

from starlette.types import Message, Send

JSON = "application/json; charset=utf-8"
"""Ollama's content type of JSON."""

LAST_CHUNK: Message = {"type": "http.response.body", "body": b"", "more_body": False}


def start(content_type: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Message:
    """The head of a reply with status 200."""
    content = (b"content-type", content_type.encode())
    return {"type": "http.response.start", "status": 200, "headers": [content, *headers]}


def chunk(body: bytes) -> Message:
    """A part of a reply that goes on."""
    return {"type": "http.response.body", "body": body, "more_body": True}


class ObservedSend:
    """A `send` that notes the status of its reply."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        """0 = the reply has not begun."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


async def send_whole(body: bytes, content_type: str, send: Send) -> None:
    """Sends a reply with status 200 and a length."""
    await send(start(content_type, ((b"content-length", str(len(body)).encode()),)))
    await send({"type": "http.response.body", "body": body})


async def send_empty(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Sends a reply without a body."""
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
