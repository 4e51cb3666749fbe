"""Generations as HTTP responses: chunks, errors before and after the first byte, and clients that leave."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable
from contextlib import aclosing, suppress
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.errors import STOPPING, UNEXPECTED, GatewayError, error_response, internal, unavailable
from gateway.generation.events import Delta, Done, Event, WholeReply
from gateway.generation.record import RequestRecord
from gateway.generation.request import Generation
from gateway.http.connection_limits import HANG_UP
from gateway.http.request_log import CLIENT_LEFT, record_of
from remuda.logs import get_logger

log = get_logger()

UNREAD = "the client does not read its reply"
JSON = "application/json; charset=utf-8"


class EventWriter(Protocol):
    """Writes one generation in a surface's own form. One object serves one request."""

    stream_type: str
    """Content type of a streamed reply."""
    json_type: str
    """Content type of a whole reply."""
    streams_immediate: bool
    """Whether a reply without generation (load, unload, rendered prompt) is streamed where a stream was asked for."""

    def delta(self, event: Delta) -> bytes:
        """The bytes for one piece of the reply."""
        ...

    def done(self, event: Done) -> bytes:
        """The bytes that end a stream."""
        ...

    def error(self, error: GatewayError) -> bytes:
        """The bytes that tell of a failure after the first byte; the stream ends with them."""
        ...

    def reply(self, reply: WholeReply) -> bytes:
        """A whole reply that is not streamed."""
        ...


class Generator(Protocol):
    """What runs generations (`gateway.generation.pipeline.Serving`)."""

    def events(self, generation: Generation, record: RequestRecord) -> AsyncGenerator[Event]:
        """Deltas, then one Done. Raises GatewayError. Closing the iterator cancels the generation everywhere."""
        ...


class RunResponse(Response, ABC):
    """Runs something and sends what it gives. A client that leaves ends it at once, whatever its state."""

    def __init__(self, model: str) -> None:
        self._model = model
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = record_of(scope)
        record.model = self._model
        try:
            finished = await run_until_disconnect(self._run(record, send), receive, record.client_stuck)
        except GatewayError as error:
            record.outcome, record.error = "error", error.message
            raise
        except asyncio.CancelledError:  # the gateway stops; with the last words this task ends as it should
            record.outcome = "cancelled"
            await self._say_goodbye(scope, receive, send, started=bool(record.status))
            return
        if not finished:
            record.outcome, record.status = "cancelled", record.status or CLIENT_LEFT
        if not finished and record.client_stuck.is_set():
            record.error = UNREAD
            await _hang_up(scope, receive)

    @abstractmethod
    async def _run(self, record: RequestRecord, send: Send) -> None:
        """Does it all. Raises GatewayError."""

    async def _say_goodbye(self, scope: Scope, receive: Receive, send: Send, *, started: bool) -> None:
        """Tells the client that the gateway stops, where its reply has not `started`."""
        if not started:
            await error_response(scope, unavailable(STOPPING))(scope, receive, send)


class GenerationResponse(RunResponse):
    """Runs a generation and sends what it yields."""

    def __init__(self, serving: Generator, generation: Generation, writer: EventWriter, *, stream: bool) -> None:
        super().__init__(generation.model)
        self._serving = serving
        self._generation = generation
        self._writer = writer
        self._stream = stream

    async def _run(self, record: RequestRecord, send: Send) -> None:
        await (self._send_stream if self._stream else self._send_reply)(record, send)

    async def _say_goodbye(self, scope: Scope, receive: Receive, send: Send, *, started: bool) -> None:
        await super()._say_goodbye(scope, receive, send, started=started)
        if started and self._stream:
            with suppress(RuntimeError):  # the reply was complete at that very moment
                await send(_chunk(self._writer.error(unavailable(STOPPING))))
                await send({"type": "http.response.body", "body": b""})

    def _events(self, record: RequestRecord) -> AsyncGenerator[Event]:
        return self._serving.events(self._generation, record)

    async def _send_reply(self, record: RequestRecord, send: Send) -> None:
        async with aclosing(self._events(record)) as stream:
            events = [event async for event in stream]
        await self._send_whole(WholeReply.collect(events), send)

    async def _send_whole(self, reply: WholeReply, send: Send) -> None:
        await send_whole(self._writer.reply(reply), self._writer.json_type, send)

    async def _send_stream(self, record: RequestRecord, send: Send) -> None:
        async with aclosing(self._events(record)) as events:
            first = await anext(events)  # what fails before it still has a status of its own
            if isinstance(first, Done) and first.is_immediate and not self._writer.streams_immediate:
                await self._send_whole(WholeReply(first), send)
                return
            await send(_start(self._writer.stream_type))
            await send(_chunk(self._write(first)))
            await self._send_rest(events, record, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_rest(self, events: AsyncIterator[Event], record: RequestRecord, send: Send) -> None:
        try:
            async for event in events:
                await send(_chunk(self._write(event)))
        except GatewayError as error:
            await self._send_error(error, record, send)
        except Exception as error:
            log.exception("generation failed", model=record.model)
            await self._send_error(internal(UNEXPECTED), record, send)
            record.error = repr(error)

    async def _send_error(self, error: GatewayError, record: RequestRecord, send: Send) -> None:
        record.outcome, record.error = "error", error.message
        await send(_chunk(self._writer.error(error)))

    def _write(self, event: Event) -> bytes:
        return self._writer.delta(event) if isinstance(event, Delta) else self._writer.done(event)


def _start(media_type: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-type", media_type.encode()), *headers],
    }


def _chunk(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def send_whole(body: bytes, content_type: str, send: Send) -> None:
    """A reply with status 200 whose length is known."""
    await send(_start(content_type, ((b"content-length", str(len(body)).encode()),)))
    await send({"type": "http.response.body", "body": body})


async def run_until_disconnect(work: Coroutine[Any, Any, None], receive: Receive, stuck: asyncio.Event) -> bool:
    """Runs `work`; cancels it and returns False when the client goes away, or is `stuck`, first. Raises what `work`
    raises."""
    task = asyncio.create_task(work)
    ends = (asyncio.create_task(_disconnected(receive)), asyncio.create_task(stuck.wait()))
    try:
        await asyncio.wait((task, *ends), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        task.result()
        return True
    finally:
        for unfinished in (task, *ends):
            unfinished.cancel()
        await asyncio.wait((task, *ends))
        if not task.cancelled():
            task.exception()  # a failure while being cancelled has no reader


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Ends the connection at once, whatever is still to be written, where the server lets us."""
    if extension := scope.get("extensions", {}).get(HANG_UP):
        extension["call"]()
        await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_empty(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """A reply without a body."""
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
