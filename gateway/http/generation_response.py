"""Generations as HTTP responses: streamed or whole, with errors before and after the first byte."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Protocol

from starlette.types import Receive, Scope, Send

from gateway.errors import STOPPING, UNEXPECTED, GatewayError, internal, unavailable
from gateway.generation.connection import ClientConnection
from gateway.generation.events import Delta, Done, Event, WholeReply
from gateway.generation.record import RequestRecord
from gateway.generation.request import Generation
from gateway.http.event_writer import EventWriter
from gateway.http.replies import LAST_CHUNK, chunk, send_whole, start
from gateway.http.run_response import RunResponse
from remuda.logs import get_logger

log = get_logger()


class Generator(Protocol):
    """What runs generations (`gateway.generation.pipeline.GenerationPipeline`)."""

    def events(
        self, generation: Generation, connection: ClientConnection, record: RequestRecord
    ) -> AsyncGenerator[Event]:
        """Deltas, then one Done. Raises GatewayError. Closing the iterator cancels the generation everywhere."""
        ...


class GenerationResponse(RunResponse):
    """Runs a generation and sends its events."""

    def __init__(self, generator: Generator, generation: Generation, writer: EventWriter, *, stream: bool) -> None:
        super().__init__(generation.model)
        self._generator = generator
        self._generation = generation
        self._writer = writer
        self._stream = stream

    async def _run(self, connection: ClientConnection, record: RequestRecord, send: Send) -> None:
        async with aclosing(self._events(connection, record)) as events:
            if self._stream:
                await self._send_stream(events, record, send)
            else:
                await self._send_reply(events, send)

    async def _say_goodbye(self, scope: Scope, receive: Receive, send: Send, *, started: bool) -> None:
        await super()._say_goodbye(scope, receive, send, started=started)
        if started and self._stream:
            with suppress(RuntimeError):  # the reply was complete at that very moment
                await send(chunk(self._writer.error(unavailable(STOPPING))))
                await send(LAST_CHUNK)

    def _events(self, connection: ClientConnection, record: RequestRecord) -> AsyncGenerator[Event]:
        return self._generator.events(self._generation, connection, record)

    async def _send_reply(self, events: AsyncIterator[Event], send: Send) -> None:
        await self._send_whole(WholeReply.collect([event async for event in events]), send)

    async def _send_whole(self, reply: WholeReply, send: Send) -> None:
        await send_whole(self._writer.reply(reply), self._writer.json_type, send)

    async def _send_stream(self, events: AsyncIterator[Event], record: RequestRecord, send: Send) -> None:
        first = await anext(events)  # an error before it still has a status of its own
        if isinstance(first, Done) and first.is_immediate and not self._writer.streams_immediate:
            await self._send_whole(WholeReply(first), send)
            return
        await send(start(self._writer.stream_type))
        await send(chunk(self._write(first)))
        await self._send_rest(events, record, send)
        await send(LAST_CHUNK)

    async def _send_rest(self, events: AsyncIterator[Event], record: RequestRecord, send: Send) -> None:
        try:
            async for event in events:
                await send(chunk(self._write(event)))
        except GatewayError as error:
            record.fail(error.message)
            await send(chunk(self._writer.error(error)))
        except Exception as error:
            log.exception("generation failed", model=record.model)
            record.fail(repr(error))
            await send(chunk(self._writer.error(internal(UNEXPECTED))))

    def _write(self, event: Event) -> bytes:
        return self._writer.delta(event) if isinstance(event, Delta) else self._writer.done(event)
