"""Several generations of one request, run at once: each is a choice of the reply."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from starlette.types import Send

from gateway.generation.events import Done, Event, WholeReply
from gateway.generation.record import RequestRecord
from gateway.generation.request import Generation
from gateway.http.responses import GenerationResponse, Generator, send_whole
from gateway.openai.completions.writer import CompletionWriter


class ChoicesResponse(GenerationResponse):
    """Runs `generations` and sends what they yield. One that fails ends them all."""

    def __init__(
        self, serving: Generator, generations: Sequence[Generation], writer: CompletionWriter, *, stream: bool
    ) -> None:
        super().__init__(serving, generations[0], writer, stream=stream)
        self._generations = generations
        self._choices_writer = writer

    def _events(self, record: RequestRecord) -> AsyncGenerator[Event]:
        return choice_events(self._serving, self._generations, record)

    async def _send_reply(self, record: RequestRecord, send: Send) -> None:
        found: list[list[Event]] = [[] for _ in self._generations]
        async with aclosing(self._events(record)) as events:
            async for event in events:
                found[event.choice].append(event)
        body = self._choices_writer.choices([WholeReply.collect(events) for events in found])
        await send_whole(body, self._choices_writer.json_type, send)


async def choice_events(
    serving: Generator, generations: Sequence[Generation], record: RequestRecord
) -> AsyncGenerator[Event]:
    """The events of all generations as they come, each with its choice; one Done for each. Raises GatewayError."""
    arrived: asyncio.Queue[Event | Exception] = asyncio.Queue(len(generations))
    records = [record.part() for _ in generations]

    async def run(choice: int) -> None:
        try:
            async with aclosing(serving.events(generations[choice], records[choice])) as events:
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
