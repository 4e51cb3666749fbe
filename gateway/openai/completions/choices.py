"""Several generations of one request, which run at once. Each is a choice of the reply."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from starlette.types import Send

from gateway.generation.connection import ClientConnection
from gateway.generation.events import Done, Event, WholeReply
from gateway.generation.record import RequestRecord
from gateway.generation.request import Generation
from gateway.http.generation_response import GenerationResponse, Generator
from gateway.http.replies import send_whole
from gateway.openai.completions.writer import CompletionWriter


class ChoicesResponse(GenerationResponse):
    """Runs `generations` and sends their events. One that fails ends them all."""

    def __init__(
        self, generator: Generator, generations: Sequence[Generation], writer: CompletionWriter, *, stream: bool
    ) -> None:
        super().__init__(generator, generations[0], writer, stream=stream)
        self._generations = generations
        self._choices_writer = writer

    def _events(self, connection: ClientConnection, record: RequestRecord) -> AsyncGenerator[Event]:
        return choice_events(self._generator, self._generations, connection, record)

    async def _send_reply(self, events: AsyncIterator[Event], send: Send) -> None:
        choices: list[list[Event]] = [[] for _ in self._generations]
        async for event in events:
            choices[event.choice].append(event)
        body = self._choices_writer.choices([WholeReply.collect(choice) for choice in choices])
        await send_whole(body, self._choices_writer.json_type, send)


async def choice_events(
    generator: Generator, generations: Sequence[Generation], connection: ClientConnection, record: RequestRecord
) -> AsyncGenerator[Event]:
    """The events of all generations in the order of arrival, each with its choice. Raises GatewayError."""
    arrived: asyncio.Queue[Event | Exception] = asyncio.Queue(len(generations))
    records = [RequestRecord(record.route, record.arrived_ns) for _ in generations]

    async def run(choice: int) -> None:
        try:
            async with aclosing(generator.events(generations[choice], connection, records[choice])) as events:
                async for event in events:
                    await arrived.put(replace(event, choice=choice))
        except Exception as error:
            await arrived.put(error)

    tasks = [asyncio.create_task(run(choice)) for choice in range(len(generations))]
    try:
        left = len(generations)
        while left:
            event = await arrived.get()
            if isinstance(event, Exception):
                raise event
            left -= isinstance(event, Done)
            yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        record.join(records)
