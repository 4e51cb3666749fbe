"""Responses that run something: they end it when the client leaves, and tell the client when the gateway stops."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.errors import STOPPING, GatewayError, unavailable
from gateway.generation.connection import ClientConnection
from gateway.generation.record import RequestRecord
from gateway.http.connection import connection_of
from gateway.http.dialect import dialect_of
from gateway.http.replies import ObservedSend
from gateway.http.request_log import CLIENT_LEFT, record_of

UNREAD = "the client does not read its reply"


class RunResponse(Response, ABC):
    """Runs something and sends the result. A client that leaves ends it at once, whatever its state."""

    def __init__(self, model: str) -> None:
        self._model = model
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record, connection, observed = record_of(scope), connection_of(scope), ObservedSend(send)
        record.model = self._model
        try:
            is_complete = await run_until_disconnect(self._run(connection, record, observed), receive, connection.stuck)
        except GatewayError as error:
            record.fail(error.message)
            raise
        except asyncio.CancelledError:  # the gateway stops; once the client knows, this task ends like any other
            record.outcome = "cancelled"
            await self._say_goodbye(scope, receive, send, started=bool(observed.status))
            return
        if not is_complete:
            record.outcome, record.status = "cancelled", observed.status or CLIENT_LEFT
        if not is_complete and connection.stuck.is_set():
            record.error = UNREAD
            await _hang_up(connection, receive)

    @abstractmethod
    async def _run(self, connection: ClientConnection, record: RequestRecord, send: Send) -> None:
        """Runs the request and sends its reply. Raises GatewayError before the first byte."""

    async def _say_goodbye(self, scope: Scope, receive: Receive, send: Send, *, started: bool) -> None:
        """Tells the client that the gateway stops, unless its reply has `started`."""
        if not started:
            await dialect_of(scope).response(unavailable(STOPPING))(scope, receive, send)


async def run_until_disconnect(work: Coroutine[Any, Any, None], receive: Receive, stuck: asyncio.Event) -> bool:
    """Runs `work` and returns True. Cancels it and returns False when the client leaves or is `stuck` first. Raises
    what `work` raises."""
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


async def _hang_up(connection: ClientConnection, receive: Receive) -> None:
    if connection.hang_up is not None:
        connection.hang_up()
        await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
